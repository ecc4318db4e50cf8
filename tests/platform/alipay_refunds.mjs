// Refunds of Alipay's trades: made at once, and told of at the address of the payment.

import { spaced } from './china_time.mjs';
import { list, object, optional, same, text } from './fields.mjs';
import { amount, NUMBER } from './alipay_trades.mjs';
import { fen, yuan } from './money.mjs';
import { business, protocol } from './world.mjs';

const WINDOW_MS = 365 * 24 * 3_600_000;
const SPACING_MS = 3_000;

export class AlipayRefunds {
    constructor(platform) {
        this.platform = platform;
        this.world = platform.world;
        const options = optional(list(text({ max: 64 }), { max: 10 }));
        const which = { out_trade_no: optional(NUMBER), trade_no: optional(text({ max: 64 })), query_options: options };
        this.shape = object({
            ...which, refund_amount: amount(1), out_request_no: optional(NUMBER), refund_reason: optional(text({ max: 256 })),
        });
        this.queryShape = object({ ...which, out_request_no: NUMBER });
    }

    reset() {
        this.all = new Map();
    }

    create(asked) {
        this.shape(asked);
        const trade = this.platform.trades.find(asked);
        const amount_fen = fen(asked.refund_amount);
        if (asked.out_request_no === undefined && amount_fen !== trade.amount_fen) {
            throw protocol('ACQ.INVALID_PARAMETER', '部分退款须传 out_request_no');
        }
        const no = asked.out_request_no ?? trade.order_no;
        const known = this.#of(trade, no);
        if (known) {
            if (!same(known.request, asked)) throw protocol('ACQ.DISCORDANT_REPEAT_REQUEST', '请求信息不一致');
            return this.#view(known, 'N');
        }
        this.#checkLimits(trade, amount_fen);
        const refund = this.#book(trade, no, asked, amount_fen);
        if (this.world.settlement === 'auto') this.#finish(refund);
        return this.#view(refund, refund.moves ? 'Y' : 'N');
    }

    query(asked) {
        this.queryShape(asked);
        const refund = this.#of(this.platform.trades.find(asked), asked.out_request_no);
        // One that is unknown, or not done yet, is told by the absence of everything.
        if (!refund?.moves) return {};
        const { order } = refund;
        return {
            refund_status: 'REFUND_SUCCESS', out_trade_no: order.order_no, trade_no: order.platform_no, out_request_no: refund.refund_no,
            refund_amount: yuan(refund.amount_fen), total_amount: yuan(order.amount_fen), gmt_refund_pay: spaced(refund.settled_ms),
        };
    }

    // All that is left of a payment goes back, as a cancel has it.
    whole(trade) {
        const left = trade.amount_fen - trade.refunded_fen;
        this.#checkBalance(left);
        this.#finish(this.#book(trade, `CANCEL${trade.order_no}`, {}, left));
    }

    settle(refund_no, state) {
        const refund = [...this.all.values()].find((candidate) => candidate.refund_no === refund_no);
        if (refund?.state !== 'PROCESSING' || state !== 'REFUND_SUCCESS') throw new Error('only a refund under way becomes REFUND_SUCCESS');
        this.#finish(refund);
    }

    #checkLimits(trade, amount_fen) {
        if (trade.state === 'TRADE_FINISHED') throw business('ACQ.TRADE_HAS_FINISHED', '交易已完结');
        if (!trade.paid_ms) throw business('ACQ.TRADE_NOT_ALLOW_REFUND', '当前交易不允许退款');
        const others = [...this.all.values()].filter(({ order }) => order === trade);
        const sum = others.reduce((total, refund) => total + refund.amount_fen, 0);
        if (sum + amount_fen > trade.amount_fen) throw business('ACQ.REFUND_AMT_NOT_EQUAL_TOTAL', '退款金额超限');
        const now = this.world.now();
        if (now > trade.paid_ms + WINDOW_MS) throw business('ACQ.TRADE_NOT_ALLOW_REFUND', '已超过可退款期限');
        if (others.some(({ created_ms }) => now < created_ms + SPACING_MS)) throw business('ACQ.SYSTEM_ERROR', '同一笔交易的退款须间隔 3 秒');
        this.#checkBalance(amount_fen);
    }

    #checkBalance(amount_fen) {
        if (!this.world.canTake('alipay', amount_fen)) throw business('ACQ.SELLER_BALANCE_NOT_ENOUGH', '卖家余额不足');
    }

    #book(trade, refund_no, asked, amount_fen) {
        const refund = {
            channel: 'alipay', refund_no, order_no: trade.order_no, order: trade, request: asked, amount_fen, state: 'PROCESSING', moves: 0,
            moved_fen: 0, created_ms: this.world.now(), settled_ms: null, platform_no: trade.platform_no,
        };
        this.all.set(this.#key(trade, refund_no), refund);
        this.world.move('alipay', -amount_fen);
        return refund;
    }

    #finish(refund) {
        const { order } = refund;
        refund.state = 'REFUND_SUCCESS';
        refund.settled_ms = this.world.now();
        refund.moves += 1;
        refund.moved_fen += refund.amount_fen;
        order.refunded_fen += refund.amount_fen;
        if (order.refunded_fen === order.amount_fen) order.state = 'TRADE_CLOSED';
        this.platform.notices.refund(refund);
    }

    // Its number needs to be unique within its trade only.
    #key(trade, no) {
        const owner = this.all.get(no);
        return owner && owner.order !== trade ? `${trade.order_no}/${no}` : no;
    }

    #of(trade, no) {
        const refund = this.all.get(this.#key(trade, no));
        return refund?.order === trade ? refund : undefined;
    }

    #view(refund, fund_change) {
        const { order } = refund;
        return {
            trade_no: order.platform_no, out_trade_no: order.order_no, buyer_logon_id: '159****5620', fund_change,
            refund_fee: yuan(order.refunded_fen), buyer_user_id: order.payer,
        };
    }
}
