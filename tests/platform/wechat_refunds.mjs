// Refunds of WeChat Pay.

import { rfc3339 } from './china_time.mjs';
import { exactly, jsonBody, notifyUrl, object, optional, parameters, same, text, whole } from './fields.mjs';
import { business, protocol } from './world.mjs';

const WINDOW_MS = 365 * 24 * 3_600_000;
const SPACING_MS = 60_000;
const REFUNDS_MAX = 50;

export class WechatRefunds {
    constructor(platform) {
        this.platform = platform;
        this.world = platform.world;
        this.shape = object({
            transaction_id: optional(text({ max: 32 })),
            out_trade_no: optional(text({ min: 6, max: 32 })),
            out_refund_no: text({ max: 64, pattern: /^[0-9A-Za-z_\-|*@]+$/ }),
            reason: optional(text({ max: 80 })),
            notify_url: optional(notifyUrl({ max: 256 })),
            amount: object({ refund: whole({ min: 1 }), total: whole({ min: 1 }), currency: exactly('CNY') }),
        });
    }

    reset() {
        this.all = new Map();
    }

    create(request) {
        const asked = jsonBody(request, this.shape);
        const known = this.all.get(asked.out_refund_no);
        if (known) {
            if (!same(known.request, asked)) throw protocol('INVALID_REQUEST', '退款单号已存在，参数与首次请求时不一致');
            return this.#view(known);
        }
        const order = this.#order(asked);
        this.#checkLimits(order, asked);
        if (!this.world.canTake('wechat', asked.amount.refund)) throw business('NOT_ENOUGH', '基本账户余额不足');
        return this.#view(this.#book(order, asked));
    }

    query(request, out_refund_no) {
        parameters(request, []);
        return this.#view(this.#find(out_refund_no));
    }

    // PROCESSING ends as SUCCESS, ABNORMAL or CLOSED; only an ABNORMAL one can still become a SUCCESS.
    settle(out_refund_no, state) {
        const refund = this.#find(out_refund_no);
        const allowed = { PROCESSING: ['SUCCESS', 'ABNORMAL', 'CLOSED'], ABNORMAL: ['SUCCESS', 'CLOSED'] }[refund.state] ?? [];
        if (!allowed.includes(state)) throw new Error(`a refund can't go from ${refund.state} to ${state}`);
        refund.state = state;
        refund.settled_ms = this.world.now();
        if (state === 'SUCCESS') {
            refund.moves += 1;
            refund.moved_fen += refund.amount_fen;
            refund.order.refunded_fen += refund.amount_fen;
        }
        if (state === 'CLOSED') this.world.move('wechat', refund.amount_fen);
        this.platform.notices.refund(refund);
    }

    #order(asked) {
        if ((asked.transaction_id === undefined) === (asked.out_trade_no === undefined)) {
            throw protocol('PARAM_ERROR', 'transaction_id 与 out_trade_no 二选一');
        }
        const { orders } = this.platform;
        const order = asked.out_trade_no ? orders.all.get(asked.out_trade_no) : orders.byId(asked.transaction_id);
        if (!order?.paid_ms) throw business('RESOURCE_NOT_EXISTS', '订单不存在或未支付');
        if (asked.amount.total !== order.amount_fen) throw protocol('INVALID_REQUEST', '订单金额与原订单不一致');
        return order;
    }

    #checkLimits(order, asked) {
        const others = [...this.all.values()].filter((refund) => refund.order === order);
        const standing = others.filter(({ state }) => state !== 'CLOSED');
        const sum = standing.reduce((total, { amount_fen }) => total + amount_fen, 0);
        if (sum + asked.amount.refund > order.amount_fen) throw protocol('INVALID_REQUEST', '累计退款金额大于订单金额');
        const now = this.world.now();
        if (now > order.paid_ms + WINDOW_MS) throw business('INVALID_REQUEST', '订单已超过可退款的最大期限');
        if (others.length >= REFUNDS_MAX) throw business('RULE_LIMIT', '退款次数超过上限');
        if (others.some(({ created_ms }) => now < created_ms + SPACING_MS)) {
            throw business('FREQUENCY_LIMITED', '同一订单两次退款须间隔一分钟');
        }
    }

    #book(order, asked) {
        const refund = {
            channel: 'wechat', refund_no: asked.out_refund_no, order_no: order.order_no, order, request: asked,
            amount_fen: asked.amount.refund, state: 'PROCESSING', moves: 0, moved_fen: 0, created_ms: this.world.now(), settled_ms: null,
            platform_no: this.world.number('50000', 23),
        };
        this.all.set(refund.refund_no, refund);
        order.state = 'REFUND';
        this.world.move('wechat', -refund.amount_fen);
        this.world.settle(() => {
            if (refund.state === 'PROCESSING') this.settle(refund.refund_no, 'SUCCESS');
        });
        return refund;
    }

    #find(out_refund_no) {
        const refund = this.all.get(out_refund_no);
        if (!refund) throw business('RESOURCE_NOT_EXISTS', '退款单不存在');
        return refund;
    }

    #view(refund) {
        const { order, amount_fen } = refund;
        return {
            refund_id: refund.platform_no, out_refund_no: refund.refund_no, transaction_id: order.platform_no,
            out_trade_no: order.order_no, channel: 'ORIGINAL', user_received_account: '支付用户零钱',
            ...(refund.state === 'SUCCESS' && { success_time: rfc3339(refund.settled_ms) }),
            create_time: rfc3339(refund.created_ms), status: refund.state, funds_account: 'AVAILABLE', promotion_detail: [],
            amount: {
                total: order.amount_fen, refund: amount_fen, payer_total: order.payer_fen, payer_refund: amount_fen,
                settlement_refund: amount_fen, settlement_total: order.amount_fen, discount_refund: 0, currency: 'CNY',
            },
        };
    }
}
