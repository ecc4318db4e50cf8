// Notifications of UnionPay: forms with the certificate that they are signed with.

import { spoiled } from './base64.mjs';

// What each variant changes: the fields before they are signed, the certificate, or the fields after it.
const VARIANTS = {
    plain: {},
    wrong_amount: { fields: (value) => ({ ...value, txnAmt: `1${value.txnAmt}` }) },
    wrong_currency: { fields: (value) => ({ ...value, currencyCode: '840' }) },
    wrong_mchid: { fields: (value) => ({ ...value, merId: '777290058110049' }) },
    unknown_order: { fields: (value) => ({ ...value, orderId: 'NOBODYKNOWS00001' }) },
    wrong_time: { fields: (value) => ({ ...value, txnTime: '20200101000000' }) },
    wrong_type: { fields: (value) => ({ ...value, txnType: value.txnType === '01' ? '04' : '01' }) },
    not_success: { fields: (value) => ({ ...value, respCode: '05', respMsg: '交易已受理' }) },
    wrong_serial: { isForeign: true },
    bad_signature: { signed: (value) => ({ ...value, signature: spoiled(value.signature) }) },
    no_signature: { signed: ({ signature, ...value }) => value },
    probe: { signed: (value) => ({ ...value, signature: 'not/Base64!' }) },
    changed: { signed: (value) => ({ ...value, txnAmt: `1${value.txnAmt}` }) },
};

export class UnionpayNotices {
    constructor(platform, notifier) {
        this.platform = platform;
        this.notifier = notifier;
    }

    // Only what was done is told.
    tell(done, event, no) {
        const { request } = done;
        const fields = {
            version: '5.1.0', encoding: 'UTF-8', signMethod: '01', txnType: request.txnType, txnSubType: request.txnSubType, bizType: '000000',
            accessType: '0', merId: request.merId, orderId: no, txnTime: request.txnTime, respCode: '00', respMsg: '成功[0000000]',
            ...this.platform.orders.transaction(done), ...(request.reqReserved && { reqReserved: request.reqReserved }),
        };
        done.notice = {
            channel: 'unionpay', event, no, id: fields.queryId, url: request.backUrl,
            accepts: (status) => status === 200,
            build: (variant) => this.#build(variant, request.backUrl, fields),
        };
        this.notifier.queue(done.notice);
    }

    #build(variant, url, fields) {
        const change = VARIANTS[variant];
        if (!change) throw new Error(`${variant} is not a variant of UnionPay's notifications`);
        const { keys } = this.platform;
        const value = change.fields ? change.fields(fields) : fields;
        const signed = this.platform.sign(value, change.isForeign ? keys.foreignCertificate : keys.certificate);
        const body = new URLSearchParams(change.signed ? change.signed(signed) : signed).toString();
        return { url, body, headers: { 'Content-Type': 'application/x-www-form-urlencoded;charset=UTF-8' } };
    }
}
