// Voids and refunds of UnionPay: transactions of their own, that name the one which they undo.

import { compact } from './china_time.mjs';
import { exactly, notifyUrl, object, text } from './fields.mjs';
import { common, money, reserved, settleDay } from './unionpay_orders.mjs';
import { business, protocol } from './world.mjs';

const WINDOW_MS = 330 * 24 * 3_600_000;

export class UnionpayRefunds {
    constructor(platform) {
        this.platform = platform;
        this.world = platform.world;
        const fields = {
            ...money, channelType: exactly('08'), backUrl: notifyUrl({ max: 256 }), origQryId: text({ max: 21, pattern: /^\d{21}$/ }),
            reqReserved: reserved,
        };
        this.shapes = { '04': object({ ...common('04', '00'), ...fields }), '31': object({ ...common('31', '00'), ...fields }) };
    }

    reset() {
        this.all = new Map();
    }

    create(asked, checkTime) {
        this.shapes['04'](asked);
        checkTime('txnTime');
        const order = this.#order(asked);
        if (this.world.now() > order.paid_ms + WINDOW_MS) throw business('39', '交易不在受理时间范围内');
        if (this.#standing(order) + Number(asked.txnAmt) > order.amount_fen) throw protocol('36', '与原交易信息不符');
        return this.#book(order, asked);
    }

    // All of it, and only on the day of the payment.
    void(asked, checkTime) {
        this.shapes['31'](asked);
        checkTime('txnTime');
        const order = this.#order(asked);
        if (Number(asked.txnAmt) !== order.amount_fen) throw protocol('36', '与原交易信息不符');
        if (this.#standing(order) > 0) throw business('35', '原交易状态不正确');
        if (settleDay(order.paid_ms) !== settleDay(this.world.now())) throw business('39', '交易不在受理时间范围内');
        return this.#book(order, asked);
    }

    settle(no, state) {
        const refund = this.all.get(no);
        if (refund?.state !== 'PROCESSING' || !['SUCCESS', 'FAIL'].includes(state)) throw new Error('only a refund in PROCESSING becomes SUCCESS or FAIL');
        refund.state = state;
        refund.settled_ms = this.world.now();
        if (state === 'FAIL') return this.world.move('unionpay', refund.amount_fen);
        refund.moves += 1;
        refund.order.refunded_fen += refund.amount_fen;
        return this.platform.notices.refund(refund);
    }

    #order({ orderId, origQryId }) {
        this.platform.orders.checkNew(orderId);
        const order = [...this.platform.orders.all.values()].find(({ platform_no }) => platform_no === origQryId);
        if (!order) throw business('35', '原交易不存在或状态不正确');
        return order;
    }

    #standing(order) {
        const counts = (refund) => refund.order === order && refund.state !== 'FAIL';
        return [...this.all.values()].filter(counts).reduce((sum, { amount_fen }) => sum + amount_fen, 0);
    }

    #book(order, asked) {
        const amount_fen = Number(asked.txnAmt);
        if (!this.world.canTake('unionpay', amount_fen)) throw business('33', '交易金额超限');
        const now = this.world.now();
        const refund = {
            channel: 'unionpay', refund_no: asked.orderId, txn_time: asked.txnTime, order_no: order.order_no, order, request: asked, amount_fen,
            state: 'PROCESSING', moves: 0, created_ms: now, settled_ms: null, platform_no: `${compact(now)}${this.world.number('', 7)}`,
        };
        this.all.set(refund.refund_no, refund);
        this.world.move('unionpay', -amount_fen);
        this.world.settle(() => {
            if (refund.state === 'PROCESSING') this.settle(refund.refund_no, 'SUCCESS');
        });
        return { queryId: refund.platform_no, origQryId: asked.origQryId, txnAmt: asked.txnAmt, currencyCode: '156' };
    }
}
