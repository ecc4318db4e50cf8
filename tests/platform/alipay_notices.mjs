// Notifications of Alipay, and the ways in which one can be wrong.

import { spoiled } from './base64.mjs';
import { spaced } from './china_time.mjs';
import { joined } from './joined.mjs';
import { yuan } from './money.mjs';

// What each variant changes: the values before they are signed, or what was signed.
const VARIANTS = {
    plain: {},
    wrong_amount: { values: ({ total_amount, ...rest }) => ({ ...rest, total_amount: `1${total_amount}` }) },
    wrong_mchid: { values: (values) => ({ ...values, seller_id: '2088000000000002' }) },
    wrong_appid: { values: (values) => ({ ...values, app_id: '2021000000000002', auth_app_id: '2021000000000002' }) },
    not_success: { values: (values) => ({ ...values, trade_status: 'WAIT_BUYER_PAY' }) },
    unknown_order: { values: (values) => ({ ...values, out_trade_no: 'NOBODYKNOWS00001' }) },
    bad_signature: { signature: spoiled },
    // As if something on the way had decoded the values and encoded them again, once too often.
    reserialised: { form: (values) => mapValues(values, encodeURIComponent) },
};

export class AlipayNotices {
    constructor(platform, notifier) {
        this.platform = platform;
        this.notifier = notifier;
    }

    payment(trade) {
        this.#queue(trade, 'payment', trade.order_no, trade, {});
    }

    // A refund comes to the address of the trade that it is of, with more fields.
    refund(refund) {
        const { order } = refund;
        this.#queue(refund, 'refund', refund.refund_no, order, {
            refund_fee: yuan(order.refunded_fen), gmt_refund: `${spaced(refund.settled_ms)}.000`, out_biz_no: refund.refund_no,
        });
    }

    #queue(subject, event, no, trade, more) {
        const { world } = this.platform;
        const { alipayAppId, alipaySellerId } = world.keys.ids;
        const sum = yuan(trade.amount_fen);
        const values = {
            gmt_create: spaced(trade.created_ms), charset: 'utf-8', seller_email: 'center@example.com', subject: trade.request.subject,
            ...(trade.request.body && { body: trade.request.body }), buyer_id: trade.payer, invoice_amount: sum,
            notify_id: world.number('2026', 30), fund_bill_list: `[{"amount":"${sum}","fundChannel":"ALIPAYACCOUNT"}]`,
            notify_type: 'trade_status_sync', trade_status: trade.state, receipt_amount: sum, app_id: alipayAppId, buyer_pay_amount: sum,
            seller_id: alipaySellerId, gmt_payment: spaced(trade.paid_ms), notify_time: spaced(world.now()), version: '1.0',
            out_trade_no: trade.order_no, total_amount: sum, trade_no: trade.platform_no, auth_app_id: alipayAppId,
            buyer_logon_id: '159****5620', point_amount: '0.00', ...more,
        };
        subject.notice = {
            channel: 'alipay', event, no, id: values.notify_id, url: trade.notify_url,
            accepts: (status, body) => status === 200 && body === 'success',
            build: (variant) => this.#build(variant, trade.notify_url, values),
        };
        this.notifier.queue(subject.notice);
    }

    #build(variant, url, values) {
        const change = VARIANTS[variant];
        if (!change) throw new Error(`${variant} is not a variant of Alipay's notifications`);
        const told = change.values ? change.values(values) : values;
        const signature = this.platform.sign(joined(Object.entries(told)));
        const form = { ...told, sign: change.signature ? change.signature(signature) : signature, sign_type: 'RSA2' };
        const body = new URLSearchParams(change.form ? change.form(form) : form).toString();
        return { url, headers: { 'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8' }, body };
    }
}

function mapValues(values, change) {
    return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value)]));
}
