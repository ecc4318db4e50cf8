// Money back: a void of the whole on the settlement day of the payment, or a refund of any part later.

import { exactly, notifyUrl, optional, text } from './fields.mjs';
import { AMOUNT, NUMBER, settlementDay } from './unionpay.mjs';
import { business, protocol } from './world.mjs';

const WINDOW_MS = 330 * 24 * 3_600_000;

export class UnionpayRefunds {
    constructor(platform) {
        this.platform = platform;
        this.world = platform.world;
    }

    reset() {
        this.all = new Map();
    }

    create(asked) {
        this.platform.check(asked, {
            orderId: NUMBER, txnAmt: AMOUNT, origQryId: text({ min: 21, max: 21, pattern: /^\d+$/ }), backUrl: notifyUrl({ max: 256 }),
            currencyCode: optional(exactly('156')),
        });
        this.platform.checkNow(asked);
        this.platform.orders.checkNew(asked);
        const order = [...this.platform.orders.all.values()].find(({ platform_no }) => platform_no === asked.origQryId);
        if (!order) throw business('35', '原交易不存在或状态不正确');
        const amount_fen = Number(asked.txnAmt);
        this.#checkLimits(order, amount_fen, asked.txnType);
        return { queryId: this.#book(order, asked, amount_fen).platform_no, origQryId: asked.origQryId };
    }

    settle(refund_no, state, reason = '64') {
        const refund = this.all.get(refund_no);
        if (refund?.state !== 'PROCESSING' || !['SUCCESS', 'FAIL'].includes(state)) throw new Error('only a refund under way ends, as SUCCESS or FAIL');
        refund.state = state;
        refund.settled_ms = this.world.now();
        if (state === 'FAIL') {
            refund.fail_reason = reason;
            this.world.move('unionpay', refund.amount_fen);
            return;
        }
        refund.moves += 1;
        refund.moved_fen += refund.amount_fen;
        refund.order.refunded_fen += refund.amount_fen;
        this.platform.notices.tell(refund, 'refund', refund.refund_no);
    }

    #checkLimits(order, amount_fen, txnType) {
        const standing = [...this.all.values()].filter((refund) => refund.order === order && refund.state !== 'FAIL');
        const sum = standing.reduce((total, refund) => total + refund.amount_fen, 0);
        const now = this.world.now();
        if (txnType === '31') {
            if (amount_fen !== order.amount_fen) throw protocol('36', '撤销金额与原交易不符');
            if (settlementDay(now) !== settlementDay(order.paid_ms) || standing.length) throw business('35', '原交易状态不正确');
        }
        if (sum + amount_fen > order.amount_fen) throw protocol('36', '退货金额大于原交易金额');
        if (now > order.paid_ms + WINDOW_MS) throw business('35', '已超过可退货期限');
        if (!this.world.canTake('unionpay', amount_fen)) throw business('64', '商户可退余额不足');
    }

    #book(order, asked, amount_fen) {
        const refund = {
            channel: 'unionpay', refund_no: asked.orderId, order_no: order.order_no, order, txnTime: asked.txnTime, request: asked, amount_fen,
            state: 'PROCESSING', moves: 0, moved_fen: 0, created_ms: this.world.now(), settled_ms: null, platform_no: this.platform.orders.queryId(),
        };
        this.all.set(refund.refund_no, refund);
        this.world.move('unionpay', -amount_fen);
        this.world.settle(() => {
            if (refund.state === 'PROCESSING') this.settle(refund.refund_no, 'SUCCESS');
        });
        return refund;
    }
}
