// Payments by a code that the payer scans.

import { compact, fromCompact } from './china_time.mjs';
import { exactly, notifyUrl, optional } from './fields.mjs';
import { AMOUNT, NUMBER, settlementDay, TIME } from './unionpay.mjs';
import { business, protocol } from './world.mjs';

const CODE_LIFE_MS = 2 * 3_600_000;

export class UnionpayOrders {
    constructor(platform) {
        this.platform = platform;
        this.world = platform.world;
    }

    reset() {
        this.all = new Map();
    }

    create(asked) {
        this.platform.check(asked, {
            channelType: exactly('08'), orderId: NUMBER, txnAmt: AMOUNT, currencyCode: exactly('156'), backUrl: notifyUrl({ max: 256 }),
            payTimeout: optional(TIME),
        });
        this.platform.checkNow(asked);
        this.checkNew(asked);
        const now = this.world.now();
        const until = asked.payTimeout ? fromCompact(asked.payTimeout) : now + CODE_LIFE_MS;
        if (until <= now) throw protocol('10', 'payTimeout 早于当前时间');
        const order = {
            channel: 'unionpay', order_no: asked.orderId, txnTime: asked.txnTime, request: asked, amount_fen: Number(asked.txnAmt), state: 'UNPAID',
            created_ms: now, expires_ms: Math.min(until, now + CODE_LIFE_MS), paid_ms: null, payer: null, platform_no: null, charges: 0,
            charged_fen: 0, refunded_fen: 0, code: this.world.number('', 26),
        };
        this.all.set(order.order_no, order);
        return { qrCode: `https://qr.95516.com/00010000/${order.code}` };
    }

    // A number is taken once and for all, by a payment or by a refund; the platform gives no second answer to the same request.
    checkNew({ orderId }) {
        if (this.all.has(orderId) || this.platform.refunds.all.has(orderId)) throw business('12', '重复交易');
    }

    query(asked) {
        this.platform.check(asked, { orderId: NUMBER });
        const found = this.all.get(asked.orderId) ?? this.platform.refunds.all.get(asked.orderId);
        if (found?.txnTime !== asked.txnTime) throw business('34', '查无此交易');
        if (found.state !== 'SUCCESS') {
            const [origRespCode, origRespMsg] = found.state === 'FAIL' ? [found.fail_reason, '失败'] : ['05', '交易已受理，请稍后查询交易结果'];
            return { origRespCode, origRespMsg };
        }
        return { ...this.transaction(found), origRespCode: '00', origRespMsg: '成功[0000000]' };
    }

    // The payer pays. Gives why not, or null.
    pay(order_no, { payer } = {}) {
        const order = this.all.get(order_no);
        if (!order) return 'unknown';
        if (order.paid_ms) return 'paid';
        if (order.state === 'FAIL') return 'closed';
        if (this.world.now() > order.expires_ms) return 'expired';
        order.payer = payer ?? '6226090000000048';
        order.state = 'SUCCESS';
        order.paid_ms = this.world.now();
        order.platform_no = this.queryId();
        order.charges += 1;
        order.charged_fen += order.amount_fen;
        this.world.move('unionpay', order.amount_fen);
        this.platform.notices.tell(order, 'payment', order.order_no);
        return null;
    }

    // A payment that the payer's bank turned down.
    settle(order_no, state, reason = '42') {
        const order = this.all.get(order_no);
        if (order?.state !== 'UNPAID' || state !== 'FAIL') throw new Error('only an UNPAID order becomes FAIL');
        Object.assign(order, { state, fail_reason: reason });
    }

    queryId() {
        return this.world.number(compact(this.world.now()).slice(0, 8), 13);
    }

    // What a query, and a notification, say of what was done.
    transaction(done) {
        const at_ms = done.paid_ms ?? done.settled_ms;
        return {
            queryId: done.platform_no, txnAmt: String(done.amount_fen), currencyCode: '156', settleAmt: String(done.amount_fen),
            settleCurrencyCode: '156', settleDate: settlementDay(at_ms).slice(5).replace('-', ''), traceNo: done.platform_no.slice(-6),
            traceTime: compact(at_ms).slice(4), ...(done.order && { origQryId: done.order.platform_no }),
        };
    }
}
