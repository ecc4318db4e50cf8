// Notifications of Alipay: forms, signed without `sign` and `sign_type`.

import { spoiled } from './base64.mjs';
import { spaced } from './china_time.mjs';
import { yuan } from './money.mjs';

// What each variant changes: the fields before they are signed, or the form after it.
const VARIANTS = {
    plain: {},
    wrong_amount: { fields: (value) => ({ ...value, total_amount: `1${value.total_amount}` }) },
    wrong_appid: { fields: (value) => ({ ...value, app_id: '2021000000000002' }) },
    wrong_mchid: { fields: (value) => ({ ...value, seller_id: '2088000000000002' }) },
    unknown_order: { fields: (value) => ({ ...value, out_trade_no: 'NOBODYKNOWS00001' }) },
    not_success: { fields: (value) => ({ ...value, trade_status: 'WAIT_BUYER_PAY' }) },
    bad_signature: { form: (form) => form.set('sign', spoiled(form.get('sign'))) },
    no_signature: { form: (form) => form.delete('sign') },
    probe: { form: (form) => form.set('sign', 'not/Base64!') },
    changed: { form: (form) => form.set('total_amount', `1${form.get('total_amount')}`) },
    extra_field: { form: (form) => form.set('extra', 'field') },
};

export class AlipayNotices {
    constructor(platform, notifier) {
        this.platform = platform;
        this.notifier = notifier;
    }

    payment(trade) {
        this.#queue(trade, 'payment', trade.order_no, this.#fields(trade));
    }

    // It looks like that of the payment, and says in addition what went back.
    refund(refund) {
        const { order } = refund;
        this.#queue(refund, 'refund', refund.refund_no, {
            ...this.#fields(order), refund_fee: yuan(order.refunded_fen), gmt_refund: `${spaced(refund.settled_ms)}.123`,
            out_biz_no: refund.refund_no,
        });
    }

    #fields(trade) {
        const { alipayAppId, alipaySellerId } = this.platform.world.keys.ids;
        const total = yuan(trade.amount_fen);
        const { subject, body, passback_params } = trade.request;
        return {
            gmt_create: spaced(trade.created_ms), charset: 'utf-8', gmt_payment: spaced(trade.paid_ms), subject, ...(body && { body }),
            ...(passback_params && { passback_params }), buyer_id: trade.payer, invoice_amount: total, version: '1.0',
            notify_id: this.platform.world.number('2026', 30), fund_bill_list: `[{"amount":"${total}","fundChannel":"ALIPAYACCOUNT"}]`,
            notify_type: 'trade_status_sync', notify_time: spaced(this.platform.world.now()), out_trade_no: trade.order_no,
            total_amount: total, trade_status: trade.state, trade_no: trade.platform_no, auth_app_id: alipayAppId, receipt_amount: total,
            point_amount: '0.00', app_id: alipayAppId, buyer_pay_amount: total, seller_id: alipaySellerId,
        };
    }

    #queue(subject, event, no, fields) {
        const url = subject.order?.request.notify_url ?? subject.request.notify_url;
        subject.notice = {
            channel: 'alipay', event, no, id: fields.notify_id, url,
            accepts: (status, body) => status === 200 && body === 'success',
            build: (variant) => this.#build(variant, url, fields),
        };
        this.notifier.queue(subject.notice);
    }

    #build(variant, url, fields) {
        const change = VARIANTS[variant];
        if (!change) throw new Error(`${variant} is not a variant of Alipay's notifications`);
        const value = change.fields ? change.fields(fields) : fields;
        const text = Object.keys(value).sort().map((name) => `${name}=${value[name]}`).join('&');
        const form = new URLSearchParams({ ...value, sign: this.platform.sign(text), sign_type: 'RSA2' });
        change.form?.(form);
        return { url, body: form.toString(), headers: { 'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8' } };
    }
}
