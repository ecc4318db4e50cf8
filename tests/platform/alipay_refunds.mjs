// Refunds of Alipay.

import { spaced } from './china_time.mjs';
import { object, optional, text } from './fields.mjs';
import { fen, yuan } from './money.mjs';
import { amount, number, tradeNo } from './alipay_trades.mjs';
import { business, protocol } from './world.mjs';

const SPACING_MS = 3_000;
const WINDOW_MS = 365 * 24 * 3_600_000;

export class AlipayRefunds {
    constructor(platform) {
        this.platform = platform;
        this.world = platform.world;
        const which = { out_trade_no: optional(tradeNo), trade_no: optional(number) };
        this.shape = object({
            ...which, refund_amount: amount, out_request_no: optional(number), refund_reason: optional(text({ max: 256 })),
            operator_id: optional(text({ max: 30 })),
        });
        this.which = object({ ...which, out_request_no: number });
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
        const known = this.all.get(no);
        if (known) {
            if (known.order !== trade || known.amount_fen !== amount_fen) throw protocol('ACQ.CONTEXT_INCONSISTENT', '同一退款请求号信息不一致');
            // The same again moves nothing, and says so; only a query tells what became of it.
            return this.#view(known, 'N');
        }
        this.#checkLimits(trade, amount_fen);
        const refund = this.#book(trade, no, amount_fen, asked);
        if (this.world.settlement === 'auto') this.settle(no, 'REFUND_SUCCESS');
        return this.#view(refund, refund.state === 'REFUND_SUCCESS' ? 'Y' : 'N');
    }

    query(asked) {
        this.which(asked);
        const trade = this.platform.trades.find(asked);
        const refund = this.all.get(asked.out_request_no);
        if (refund?.order !== trade || refund.state !== 'REFUND_SUCCESS') return {};
        return {
            trade_no: trade.platform_no, out_trade_no: trade.order_no, out_request_no: refund.refund_no, refund_status: 'REFUND_SUCCESS',
            total_amount: yuan(trade.amount_fen), refund_amount: yuan(refund.amount_fen), gmt_refund_pay: spaced(refund.settled_ms),
        };
    }

    settle(no, state) {
        const refund = this.all.get(no);
        if (refund?.state !== 'PROCESSING' || !['REFUND_SUCCESS', 'REFUND_FAIL'].includes(state)) {
            throw new Error('only a refund in PROCESSING becomes REFUND_SUCCESS or REFUND_FAIL');
        }
        const { order } = refund;
        refund.state = state;
        refund.settled_ms = this.world.now();
        if (state === 'REFUND_FAIL') return this.world.move('alipay', refund.amount_fen);
        refund.moves += 1;
        order.refunded_fen += refund.amount_fen;
        if (order.refunded_fen === order.amount_fen) order.state = 'TRADE_CLOSED';
        return this.platform.notices.refund(refund);
    }

    // A cancelled trade gives back all that is left of it, at once.
    giveBack(trade) {
        const left = trade.amount_fen - this.#standing(trade);
        if (left === 0) return;
        const no = this.world.number('CANCEL', 20);
        this.#book(trade, no, left, { out_trade_no: trade.order_no });
        this.settle(no, 'REFUND_SUCCESS');
    }

    #standing(trade) {
        const counts = (refund) => refund.order === trade && refund.state !== 'REFUND_FAIL';
        return [...this.all.values()].filter(counts).reduce((sum, { amount_fen }) => sum + amount_fen, 0);
    }

    #checkLimits(trade, amount_fen) {
        const now = this.world.now();
        if (trade.state === 'TRADE_FINISHED') throw business('ACQ.TRADE_HAS_FINISHED', '交易已完结');
        if (!trade.paid_ms) throw business('ACQ.TRADE_NOT_ALLOW_REFUND', '当前交易不允许退款');
        if (this.#standing(trade) + amount_fen > trade.amount_fen) throw protocol('ACQ.REFUND_AMT_NOT_EQUAL_TOTAL', '退款金额超限');
        if (now > trade.paid_ms + WINDOW_MS) throw business('ACQ.TRADE_NOT_ALLOW_REFUND', '超过可退款期限');
        const last = [...this.all.values()].filter(({ order }) => order === trade).pop();
        if (last && now < last.created_ms + SPACING_MS) throw business('aop.ACQ.SYSTEM_ERROR', '退款过于频繁，请稍后再试');
        if (!this.world.canTake('alipay', amount_fen)) throw business('ACQ.SELLER_BALANCE_NOT_ENOUGH', '卖家余额不足');
    }

    #book(trade, refund_no, amount_fen, asked) {
        const refund = {
            channel: 'alipay', refund_no, order_no: trade.order_no, order: trade, request: asked, amount_fen, state: 'PROCESSING',
            moves: 0, created_ms: this.world.now(), settled_ms: null, platform_no: this.world.number('20260', 23),
        };
        this.all.set(refund_no, refund);
        this.world.move('alipay', -amount_fen);
        return refund;
    }

    #view({ order }, fund_change) {
        return {
            trade_no: order.platform_no, out_trade_no: order.order_no, buyer_logon_id: '159****5620', buyer_user_id: order.payer,
            fund_change, refund_fee: yuan(order.refunded_fen), ...(fund_change === 'Y' && { gmt_refund_pay: spaced(this.world.now()) }),
        };
    }
}
