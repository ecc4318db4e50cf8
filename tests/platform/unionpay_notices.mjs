// Notifications of UnionPay, and the ways in which one can be wrong.

import { spoiled } from './base64.mjs';

const VARIANTS = {
    plain: {},
    wrong_amount: { values: (values) => ({ ...values, txnAmt: `1${values.txnAmt}`, settleAmt: `1${values.settleAmt}` }) },
    wrong_mchid: { values: (values) => ({ ...values, merId: '777290058110049' }) },
    wrong_currency: { values: (values) => ({ ...values, currencyCode: '840' }) },
    not_success: { values: (values) => ({ ...values, respCode: '01', respMsg: '交易失败' }) },
    unknown_order: { values: (values) => ({ ...values, orderId: 'NOBODYKNOWS00001' }) },
    bad_signature: { signature: spoiled },
    // A certificate with the right name from an authority that is not UnionPay's.
    wrong_serial: { foreign: true },
    // As if something on the way had decoded the values and encoded them again, once too often.
    reserialised: { form: (values) => Object.fromEntries(Object.entries(values).map(([name, value]) => [name, encodeURIComponent(value)])) },
};

export class UnionpayNotices {
    constructor(platform, notifier) {
        this.platform = platform;
        this.notifier = notifier;
    }

    payment(order) {
        this.#queue(order, 'payment', order.order_no);
    }

    refund(refund) {
        this.#queue(refund, 'refund', refund.refund_no, { origQryId: refund.order.platform_no });
    }

    #queue(subject, event, no, more = {}) {
        const { orderId, txnTime, txnType, txnSubType, bizType, merId, backUrl, reqReserved } = subject.request;
        const { origRespCode, origRespMsg, ...outcome } = this.platform.orders.outcome(subject);
        const values = {
            version: '5.1.0', encoding: 'UTF-8', bizType, txnType, txnSubType, accessType: '0', merId, orderId, txnTime,
            txnAmt: String(subject.amount_fen), currencyCode: '156', respCode: origRespCode, respMsg: origRespMsg, ...outcome, ...more,
            ...(reqReserved && { reqReserved }),
        };
        subject.notice = {
            channel: 'unionpay', event, no, id: values.queryId, url: backUrl,
            accepts: (status) => status === 200,
            build: (variant) => this.#build(variant, backUrl, values),
        };
        this.notifier.queue(subject.notice);
    }

    #build(variant, url, values) {
        const change = VARIANTS[variant];
        if (!change) throw new Error(`${variant} is not a variant of UnionPay's notifications`);
        const { keys } = this.platform;
        const sealed = this.platform.sealed(change.values ? change.values(values) : values, change.foreign ? keys.foreignCertificate : keys.certificate);
        if (change.signature) sealed.signature = change.signature(sealed.signature);
        const body = new URLSearchParams(change.form ? change.form(sealed) : sealed).toString();
        return { url, headers: { 'Content-Type': 'application/x-www-form-urlencoded;charset=UTF-8' }, body };
    }
}
