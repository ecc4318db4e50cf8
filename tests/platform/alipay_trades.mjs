// Trades of Alipay. A code that nobody has scanned is not a trade yet: it can't be queried or closed, but still paid.

import { fromSpaced, spaced } from './china_time.mjs';
import { exactly, object, optional, same, text, that } from './fields.mjs';
import { fen, yuan } from './money.mjs';
import { business, protocol } from './world.mjs';

const CODE_LIFE_MS = 2 * 3_600_000;
const TRADE_LIFE_MS = 3 * 3_600_000;
const UNITS_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const AMOUNT_MAX_FEN = 10_000_000_000;
const OPEN = ['QR', 'WAIT_BUYER_PAY'];

export const amount = that((value) => fen(value) >= 1 && fen(value) <= AMOUNT_MAX_FEN, 'is not an amount such as 12.30');
const term = that((value) => termMs(value, 0) !== null, 'is not a term such as 90m');
export const tradeNo = text({ max: 64, pattern: /^[0-9A-Za-z_]+$/ });
export const number = text({ max: 64 });

export class AlipayTrades {
    constructor(platform) {
        this.platform = platform;
        this.world = platform.world;
        this.shape = object({
            out_trade_no: tradeNo,
            total_amount: amount,
            subject: text({ max: 256, pattern: /^[^/=&]+$/ }),
            body: optional(text({ max: 128 })),
            product_code: optional(exactly('FACE_TO_FACE_PAYMENT')),
            seller_id: optional(exactly(this.world.keys.ids.alipaySellerId)),
            timeout_express: optional(term),
            time_expire: optional(that((value) => fromSpaced(value) !== null, 'is not a time such as 2026-03-02 12:00:00')),
            qr_code_timeout_express: optional(term),
            store_id: optional(text({ max: 32 })),
            operator_id: optional(text({ max: 28 })),
            terminal_id: optional(text({ max: 32 })),
        });
        this.which = object({ out_trade_no: optional(tradeNo), trade_no: optional(number) });
        this.whichClose = object({ out_trade_no: optional(tradeNo), trade_no: optional(number), operator_id: optional(text({ max: 28 })) });
    }

    reset() {
        this.all = new Map();
    }

    precreate(asked, { notify_url }) {
        this.shape(asked);
        const known = this.#current(this.all.get(asked.out_trade_no));
        if (known) this.#checkRepeat(known, asked);
        const trade = known ?? this.#book(asked, notify_url);
        const life_ms = asked.qr_code_timeout_express ? termMs(asked.qr_code_timeout_express, this.world.now()) : CODE_LIFE_MS;
        const value = `https://qr.alipay.com/${this.world.number('bax', 17)}`;
        trade.code = { value, until_ms: this.world.now() + Math.min(life_ms, CODE_LIFE_MS) };
        return { out_trade_no: trade.order_no, qr_code: value };
    }

    query(asked) {
        this.which(asked);
        return this.view(this.find(asked));
    }

    close(asked) {
        this.whichClose(asked);
        const trade = this.find(asked);
        if (trade.state !== 'WAIT_BUYER_PAY') throw business('ACQ.REASON_TRADE_STATUS_INVALID', '交易状态不合法');
        trade.state = 'TRADE_CLOSED';
        return { out_trade_no: trade.order_no, trade_no: trade.platform_no };
    }

    // Closes what is not paid, and gives back what is. Of a number that it does not know it says the same.
    cancel(asked) {
        this.whichClose(asked);
        const trade = this.#lookup(asked);
        if (!trade) return { ...asked, retry_flag: 'N' };
        const answer = { out_trade_no: trade.order_no, ...(trade.platform_no && { trade_no: trade.platform_no }), retry_flag: 'N' };
        if (!trade.paid_ms) {
            trade.state = 'TRADE_CLOSED';
            return { ...answer, action: 'close' };
        }
        if (trade.state === 'TRADE_FINISHED') throw business('ACQ.TRADE_HAS_FINISHED', '交易已完结');
        this.platform.refunds.giveBack(trade);
        return { ...answer, action: 'refund' };
    }

    // The buyer scans, and with that the trade is there. Gives why not, or null.
    scan(order_no) {
        const trade = this.#current(this.all.get(order_no));
        const now = this.world.now();
        if (!trade) return 'unknown';
        if (trade.state === 'WAIT_BUYER_PAY') return null;
        if (trade.paid_ms) return 'paid';
        if (trade.state !== 'QR') return 'closed';
        const { time_expire, timeout_express } = trade.request;
        if (now > trade.code.until_ms) return 'code expired';
        if (time_expire && now > fromSpaced(time_expire)) return 'expired';
        trade.state = 'WAIT_BUYER_PAY';
        trade.platform_no = this.world.number('20260', 23);
        // The term counts from here; the absolute time wins over it.
        if (time_expire) trade.expires_ms = fromSpaced(time_expire);
        else trade.expires_ms = now + (timeout_express ? termMs(timeout_express, now) : TRADE_LIFE_MS);
        return null;
    }

    pay(order_no, { payer } = {}) {
        const why = this.scan(order_no);
        if (why) return why;
        const trade = this.all.get(order_no);
        trade.state = 'TRADE_SUCCESS';
        trade.paid_ms = this.world.now();
        trade.payer = payer ?? '2088102175953034';
        trade.charges += 1;
        trade.charged_fen += trade.amount_fen;
        this.world.move('alipay', trade.amount_fen);
        this.platform.notices.payment(trade);
        return null;
    }

    // Only what was paid can be finished, after which nothing can be refunded.
    settle(order_no, state) {
        const trade = this.all.get(order_no);
        if (trade?.state !== 'TRADE_SUCCESS' || state !== 'TRADE_FINISHED') throw new Error('only TRADE_SUCCESS becomes TRADE_FINISHED');
        trade.state = state;
        this.platform.notices.payment(trade);
    }

    find(asked) {
        if (!asked.out_trade_no && !asked.trade_no) throw protocol('isv.missing-parameter', 'out_trade_no 和 trade_no 不能同时为空', { level: 40001 });
        const trade = this.#lookup(asked);
        if (!trade || !trade.platform_no) throw business('ACQ.TRADE_NOT_EXIST', '交易不存在');
        return trade;
    }

    // What a query says of a trade.
    view(trade) {
        const sum = yuan(trade.amount_fen);
        return {
            trade_no: trade.platform_no, out_trade_no: trade.order_no, trade_status: trade.state, total_amount: sum,
            buyer_logon_id: '159****5620', ...(trade.paid_ms && {
                buyer_user_id: trade.payer, buyer_pay_amount: sum, receipt_amount: sum, invoice_amount: sum, point_amount: '0.00',
                send_pay_date: spaced(trade.paid_ms), fund_bill_list: [{ fund_channel: 'ALIPAYACCOUNT', amount: sum }],
            }),
        };
    }

    #lookup({ out_trade_no, trade_no }) {
        const byId = () => [...this.all.values()].find(({ platform_no }) => platform_no === trade_no);
        return this.#current(trade_no ? byId() : this.all.get(out_trade_no));
    }

    // Alipay closes by itself what was not paid in time.
    #current(trade) {
        if (trade?.state === 'WAIT_BUYER_PAY' && this.world.now() > trade.expires_ms) trade.state = 'TRADE_CLOSED';
        return trade;
    }

    #checkRepeat(trade, asked) {
        if (trade.paid_ms) throw business('ACQ.TRADE_HAS_SUCCESS', '交易已被支付');
        if (!OPEN.includes(trade.state)) throw business('ACQ.TRADE_HAS_CLOSE', '交易已经关闭');
        if (!same(trade.request, asked)) throw protocol('ACQ.CONTEXT_INCONSISTENT', '交易信息被篡改');
    }

    #book(asked, notify_url = null) {
        const trade = {
            channel: 'alipay', order_no: asked.out_trade_no, request: asked, notify_url, amount_fen: fen(asked.total_amount), state: 'QR',
            created_ms: this.world.now(), expires_ms: null, paid_ms: null, payer: null, platform_no: null, charges: 0, charged_fen: 0,
            refunded_fen: 0,
        };
        this.all.set(trade.order_no, trade);
        return trade;
    }
}

// `90m`, `2h`, `15d` at the most, or `1c`: until midnight of China. Null when it is none of these.
function termMs(text, now) {
    if (text === '1c') return 86_400_000 - ((now + 8 * 3_600_000) % 86_400_000);
    const parts = /^([1-9]\d{0,4})([mhd])$/.exec(text);
    const ms = parts && Number(parts[1]) * UNITS_MS[parts[2]];
    return ms !== null && ms <= 15 * UNITS_MS.d ? ms : null;
}
