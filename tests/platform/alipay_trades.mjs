// Payments by a code that the buyer scans. The trade is made by the scan, not by the call that gives the code.

import { fromSpaced, spaced } from './china_time.mjs';
import { exactly, list, object, optional, same, text, that } from './fields.mjs';
import { fen, yuan } from './money.mjs';
import { business, protocol } from './world.mjs';

const CODE_LIFE_MS = 2 * 3_600_000;
const DEFAULT_LIFE_MS = 3 * 3_600_000;
const UNITS_MS = { m: 60_000, h: 3_600_000, d: 24 * 3_600_000 };
const LIFE_MAX_MS = 15 * 24 * 3_600_000;
const AMOUNT_MAX_FEN = 10_000_000_000;

export const amount = (min) => that(
    (value) => fen(value) !== null && fen(value) >= min && fen(value) <= AMOUNT_MAX_FEN, 'is not an amount such as 12.30 within the limits',
);
export const NUMBER = text({ max: 64, pattern: /^\w+$/ });
const TIMEOUT = that((value) => value === '1c' || life(value) !== null, 'is not a time such as 90m');
const WHICH = { out_trade_no: optional(NUMBER), trade_no: optional(text({ max: 64 })) };

export class AlipayTrades {
    constructor(platform) {
        this.platform = platform;
        this.world = platform.world;
        this.shape = object({
            out_trade_no: NUMBER,
            total_amount: amount(1),
            subject: text({ max: 256, pattern: /^[^/=&]*$/ }),
            product_code: optional(exactly('FACE_TO_FACE_PAYMENT')),
            timeout_express: optional(TIMEOUT),
            time_expire: optional(that((value) => fromSpaced(value) !== null, 'is not a time such as 2026-03-02 12:00:00')),
            qr_code_timeout_express: optional(TIMEOUT),
            seller_id: optional(exactly(this.world.keys.ids.alipaySellerId)),
            body: optional(text({ max: 128 })),
            passback_params: optional(text({ max: 512 })),
            operator_id: optional(text({ max: 28 })),
            store_id: optional(text({ max: 32 })),
            terminal_id: optional(text({ max: 32 })),
        });
    }

    reset() {
        this.all = new Map();
    }

    precreate(asked, { notify_url }) {
        this.shape(asked);
        const request = { ...asked, ...(notify_url && { notify_url }) };
        const known = this.current(this.all.get(asked.out_trade_no));
        if (known?.paid_ms) throw business('ACQ.TRADE_HAS_SUCCESS', '交易已被支付');
        if (known?.state === 'TRADE_CLOSED') throw business('ACQ.TRADE_HAS_CLOSE', '交易已经关闭');
        if (known && !same(known.request, request)) throw protocol('ACQ.CONTEXT_INCONSISTENT', '交易信息被篡改');
        if (known && this.world.now() > known.expires_ms) throw business('ACQ.INVALID_PARAMETER', 'time_expire 早于当前时间');
        const trade = known ?? this.#offer(request);
        const until_ms = Math.min(this.world.now() + CODE_LIFE_MS, this.world.now() + (life(asked.qr_code_timeout_express) ?? Infinity));
        trade.code = { value: this.world.number('bax', 20), until_ms };
        return { out_trade_no: trade.order_no, qr_code: `https://qr.alipay.com/${trade.code.value}` };
    }

    query(asked) {
        object({ ...WHICH, query_options: optional(list(text({ max: 64 }), { max: 10 })) })(asked);
        return this.#view(this.find(asked));
    }

    close(asked) {
        object({ ...WHICH, operator_id: optional(text({ max: 28 })) })(asked);
        const trade = this.find(asked);
        if (trade.state !== 'WAIT_BUYER_PAY') throw business('ACQ.REASON_TRADE_STATUS_INVALID', '交易状态异常');
        trade.state = 'TRADE_CLOSED';
        return { trade_no: trade.platform_no, out_trade_no: trade.order_no };
    }

    // Ends a payment however it stands: what was paid goes back.
    cancel(asked) {
        object(WHICH)(asked);
        const offered = this.current(this.all.get(asked.out_trade_no));
        const trade = offered?.state === 'OFFERED' ? offered : this.find(asked);
        let action = 'close';
        if (trade.state === 'TRADE_FINISHED') throw business('ACQ.TRADE_HAS_FINISHED', '交易已完结');
        if (trade.state === 'TRADE_SUCCESS') {
            this.platform.refunds.whole(trade);
            action = 'refund';
        }
        trade.state = 'TRADE_CLOSED';
        return { ...(trade.platform_no && { trade_no: trade.platform_no }), out_trade_no: trade.order_no, retry_flag: 'N', action };
    }

    // The buyer scans the code, which makes the trade. Gives why not, or null.
    scan(order_no) {
        const trade = this.current(this.all.get(order_no));
        if (!trade) return 'unknown';
        if (trade.paid_ms) return 'paid';
        if (trade.state === 'TRADE_CLOSED') return 'closed';
        if (trade.state === 'WAIT_BUYER_PAY') return null;
        if (this.world.now() > trade.expires_ms) return 'expired';
        if (this.world.now() > trade.code.until_ms) return 'code expired';
        trade.state = 'WAIT_BUYER_PAY';
        trade.platform_no = this.world.number('2026', 24);
        return null;
    }

    // The buyer pays, after a scan if there was none.
    pay(order_no, { payer } = {}) {
        const why = this.scan(order_no);
        if (why !== null) return why;
        const trade = this.all.get(order_no);
        trade.payer = payer ?? '2088000000000042';
        trade.state = 'TRADE_SUCCESS';
        trade.paid_ms = this.world.now();
        trade.charges += 1;
        trade.charged_fen += trade.amount_fen;
        this.world.move('alipay', trade.amount_fen);
        this.platform.notices.payment(trade);
        return null;
    }

    // A paid trade is finished when nothing of it can be refunded any more.
    settle(order_no, state) {
        const trade = this.all.get(order_no);
        if (trade?.state !== 'TRADE_SUCCESS' || state !== 'TRADE_FINISHED') throw new Error('only a TRADE_SUCCESS becomes TRADE_FINISHED');
        trade.state = state;
        this.platform.notices.payment(trade);
    }

    // A trade that exists, by either number.
    find({ out_trade_no, trade_no }) {
        if (out_trade_no === undefined && trade_no === undefined) throw protocol('ACQ.INVALID_PARAMETER', 'out_trade_no 和 trade_no 不能同时为空');
        const trade = trade_no === undefined
            ? this.all.get(out_trade_no)
            : [...this.all.values()].find((candidate) => candidate.platform_no === trade_no);
        if (!this.current(trade)?.platform_no) throw business('ACQ.TRADE_NOT_EXIST', '交易不存在');
        return trade;
    }

    // A trade that was not paid in time is closed.
    current(trade) {
        if (trade?.state === 'WAIT_BUYER_PAY' && this.world.now() > trade.expires_ms) trade.state = 'TRADE_CLOSED';
        return trade;
    }

    #offer(request) {
        const now = this.world.now();
        const until = request.time_expire ? fromSpaced(request.time_expire) : now + (life(request.timeout_express) ?? DEFAULT_LIFE_MS);
        if (until <= now) throw protocol('ACQ.INVALID_PARAMETER', 'time_expire 早于当前时间');
        const trade = {
            channel: 'alipay', order_no: request.out_trade_no, request, amount_fen: fen(request.total_amount), state: 'OFFERED', created_ms: now,
            expires_ms: until, paid_ms: null, payer: null, platform_no: null, charges: 0, charged_fen: 0, refunded_fen: 0,
        };
        this.all.set(trade.order_no, trade);
        return trade;
    }

    #view(trade) {
        const total = yuan(trade.amount_fen);
        return {
            trade_no: trade.platform_no, out_trade_no: trade.order_no, buyer_logon_id: '159****5620', trade_status: trade.state,
            total_amount: total, receipt_amount: trade.paid_ms ? total : '0.00', buyer_pay_amount: trade.paid_ms ? total : '0.00',
            point_amount: '0.00', invoice_amount: trade.paid_ms ? total : '0.00',
            ...(trade.paid_ms && { send_pay_date: spaced(trade.paid_ms), buyer_user_id: trade.payer }),
        };
    }
}

// `90m` in milliseconds; until midnight is not worth a calendar here, and counts as a day at most.
function life(value) {
    if (value === '1c') return UNITS_MS.d;
    const parts = /^([1-9]\d{0,4})([mhd])$/.exec(value ?? '');
    const ms = parts && Number(parts[1]) * UNITS_MS[parts[2]];
    return ms && ms <= LIFE_MAX_MS ? ms : null;
}
