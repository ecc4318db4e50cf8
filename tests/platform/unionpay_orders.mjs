// Payments by UnionPay's QR code, and the query of everything.

import { compact, day, fromCompact } from './china_time.mjs';
import { exactly, notifyUrl, object, optional, text, that } from './fields.mjs';
import { business, protocol } from './world.mjs';

const ORDER_LIFE_MS = 24 * 3_600_000;
const AMOUNT = /^[1-9]\d{0,11}$/;

// What every transaction carries; the signature was checked before.
export const common = (txnType, txnSubType) => ({
    version: text({ max: 5 }), encoding: text({ max: 20 }), certId: text({ max: 128 }), signMethod: exactly('01'), merId: text({ max: 15 }),
    txnType: exactly(txnType), txnSubType: exactly(txnSubType), bizType: exactly('000000'), accessType: exactly('0'),
    orderId: text({ min: 8, max: 40, pattern: /^[0-9A-Za-z]+$/ }), txnTime: text({ max: 14 }),
});
export const money = { txnAmt: text({ max: 12, pattern: AMOUNT }), currencyCode: exactly('156') };
// What would break the answer apart, which is not percent-encoded, is not for `reqReserved`.
export const reserved = optional(text({ max: 1024, pattern: /^[^&=+%{}[\]]+$/ }));

// UnionPay's day ends at 23:00.
export const settleDay = (ms) => day(ms + 3_600_000);

export class UnionpayOrders {
    constructor(platform) {
        this.platform = platform;
        this.world = platform.world;
        this.shape = object({
            ...common('01', '07'), ...money, channelType: exactly('08'), backUrl: notifyUrl({ max: 256 }), reqReserved: reserved,
            payTimeout: optional(that((value) => fromCompact(value) !== null, 'is not a time such as 20260302120000')),
            orderDesc: optional(text({ max: 32 })),
        });
        this.which = object({ ...common('00', '00'), channelType: optional(exactly('08')) });
    }

    reset() {
        this.all = new Map();
    }

    create(asked, checkTime) {
        this.shape(asked);
        checkTime('txnTime');
        this.checkNew(asked.orderId);
        const now = this.world.now();
        const expires_ms = asked.payTimeout ? fromCompact(asked.payTimeout) : now + ORDER_LIFE_MS;
        if (expires_ms <= now) throw protocol('10', '报文格式错误: payTimeout');
        const order = {
            channel: 'unionpay', order_no: asked.orderId, txn_time: asked.txnTime, request: asked, amount_fen: Number(asked.txnAmt),
            state: 'WAITING', created_ms: now, expires_ms, paid_ms: null, payer: null, platform_no: null, charges: 0, charged_fen: 0,
            refunded_fen: 0,
        };
        this.all.set(order.order_no, order);
        return { qrCode: `https://qr.95516.com/00010000/${this.world.number('6', 25)}` };
    }

    // Of a payment, a void or a refund: found by the number and the time that it was sent with.
    query(asked, checkTime) {
        this.which(asked);
        checkTime('txnTime');
        const found = this.all.get(asked.orderId) ?? this.platform.refunds.all.get(asked.orderId);
        if (found?.txn_time !== asked.txnTime) throw business('34', '查无此交易');
        const { txnType, txnSubType } = found.request;
        return { ...this.outcome(found), txnType, txnSubType, txnAmt: String(found.amount_fen), currencyCode: '156' };
    }

    // A number is used once, whatever for.
    checkNew(orderId) {
        if (this.all.has(orderId) || this.platform.refunds.all.has(orderId)) throw protocol('12', '重复交易');
    }

    // The family pays. Gives why not, or null.
    pay(order_no, { payer } = {}) {
        const order = this.all.get(order_no);
        if (!order) return 'unknown';
        if (order.paid_ms) return 'paid';
        const now = this.world.now();
        if (now > order.expires_ms) return 'expired';
        order.state = 'SUCCESS';
        order.paid_ms = now;
        order.payer = payer ?? '6216********0018';
        order.platform_no = `${compact(now)}${this.world.number('', 7)}`;
        order.charges += 1;
        order.charged_fen += order.amount_fen;
        this.world.move('unionpay', order.amount_fen);
        this.platform.notices.payment(order);
        return null;
    }

    outcome(transaction) {
        const { state, platform_no, amount_fen } = transaction;
        const done = state === 'SUCCESS';
        // An order that nobody can pay any more has failed; any other that is not paid is still under way.
        const failed = state === 'FAIL' || (!done && transaction.expires_ms < this.world.now());
        const origRespCode = done ? '00' : failed ? '30' : '05';
        if (!done) return { origRespCode, origRespMsg: failed ? '交易未通过' : '交易已受理，请稍后查询交易结果', ...(platform_no && { queryId: platform_no }) };
        const at_ms = transaction.paid_ms ?? transaction.settled_ms;
        return {
            origRespCode, origRespMsg: '成功[0000000]', queryId: platform_no, settleAmt: String(amount_fen), settleCurrencyCode: '156',
            settleDate: settleDay(at_ms).slice(5).replace('-', ''), traceNo: platform_no.slice(-6), traceTime: compact(at_ms).slice(4),
        };
    }
}
