// Notifications of WeChat Pay, and the ways in which one can be wrong.

import { randomUUID } from 'node:crypto';

import { rfc3339 } from './china_time.mjs';

const SKEW_MS = 301_000;

// What each variant changes: the message before it is sealed, how it is sealed and signed, or what was signed.
const VARIANTS = {
    plain: {},
    wrong_amount: { plaintext: (value) => changeAmount(value) },
    wrong_currency: { plaintext: (value) => ({ ...value, amount: { ...value.amount, currency: 'USD' } }) },
    wrong_mchid: { plaintext: (value) => rename(value, ['mchid', 'mch_id'], '1900000110') },
    wrong_appid: { plaintext: (value) => rename(value, ['appid'], 'wx9999999999999999') },
    wrong_payer: { plaintext: (value) => ({ ...value, payer: { openid: 'oSomebodyElse' } }) },
    unknown_order: { plaintext: (value) => rename(value, ['out_trade_no', 'out_bill_no', 'out_refund_no'], 'NOBODYKNOWS00001') },
    not_success: { plaintext: (value) => notSuccess(value) },
    gcm_flip: { resource: (resource) => ({ ...resource, ciphertext: flip(resource.ciphertext) }) },
    wrong_aad: { resource: (resource) => ({ ...resource, associated_data: 'another' }) },
    stale: { skew_ms: -SKEW_MS },
    future: { skew_ms: SKEW_MS },
    serial_certificate: { signer: 'certificate' },
    wrong_serial: { headers: { 'Wechatpay-Serial': '5157F09EFDC096DE15EBE81A47057A7232F1B8E1' } },
    probe: { headers: { 'Wechatpay-Signature': `WECHATPAY/SIGNTEST/${'A'.repeat(320)}` } },
    bad_signature: { signature: flip },
    reserialised: { body: (body) => JSON.stringify(JSON.parse(body), null, 1) },
};

export class WechatNotices {
    constructor(platform, notifier) {
        this.platform = platform;
        this.notifier = notifier;
    }

    payment(order) {
        const value = this.platform.orders.transaction(order);
        this.#queue(order, 'payment', order.order_no, order.request.notify_url, {
            event_type: 'TRANSACTION.SUCCESS', original_type: 'transaction', summary: '支付成功', value,
        });
    }

    refund(refund) {
        const { order } = refund;
        const value = {
            mchid: this.platform.world.keys.ids.mchid, out_trade_no: order.order_no, transaction_id: order.platform_no,
            out_refund_no: refund.refund_no, refund_id: refund.platform_no, refund_status: refund.state,
            ...(refund.state === 'SUCCESS' && { success_time: rfc3339(refund.settled_ms) }), user_received_account: '支付用户零钱',
            amount: {
                total: order.amount_fen, refund: refund.amount_fen, payer_total: order.payer_fen, payer_refund: refund.amount_fen,
            },
        };
        this.#queue(refund, 'refund', refund.refund_no, refund.request.notify_url, {
            event_type: `REFUND.${refund.state}`, original_type: 'refund', summary: '退款通知', value,
        });
    }

    transfer(transfer) {
        this.#queue(transfer, 'transfer', transfer.transfer_no, transfer.request.notify_url, {
            event_type: 'MCHTRANSFER.BILL.FINISHED', original_type: 'mch_payment', summary: '商家转账单据终态通知',
            value: this.platform.transfers.bill(transfer),
        });
    }

    // Every try of a notification has the same id and the same body, and a signature of its own.
    #queue(subject, event, no, url, { event_type, original_type, summary, value }) {
        const head = { id: randomUUID(), create_time: rfc3339(this.platform.world.now()), resource_type: 'encrypt-resource', event_type, summary };
        const body = this.#body(head, original_type, value, {});
        subject.notice = {
            channel: 'wechat', event, no, id: head.id, url,
            accepts: (status) => status === 200 || status === 204,
            build: (variant) => this.#build(variant, url, () => body, (change) => this.#body(head, original_type, value, change)),
        };
        this.notifier.queue(subject.notice);
    }

    #body(head, original_type, value, { plaintext = (same) => same, resource = (same) => same }) {
        const sealed = this.platform.seal(JSON.stringify(plaintext(value)), original_type);
        return JSON.stringify({ ...head, resource: resource({ original_type, ...sealed }) });
    }

    #build(variant, url, usual, changed) {
        const change = VARIANTS[variant];
        if (!change) throw new Error(`${variant} is not a variant of WeChat's notifications`);
        const body = change.plaintext || change.resource ? changed(change) : usual();
        const { world, keys } = this.platform;
        const signer = change.signer ? keys.signers[change.signer] : this.platform.signer();
        const headers = this.platform.signature(body, { signer, at_ms: world.now() + (change.skew_ms ?? 0) });
        if (change.signature) headers['Wechatpay-Signature'] = change.signature(headers['Wechatpay-Signature']);
        return {
            url, body: change.body ? change.body(body) : body,
            headers: { 'Content-Type': 'application/json', 'User-Agent': 'Mozilla/4.0', ...headers, ...change.headers },
        };
    }
}

function changeAmount(value) {
    if (value.transfer_amount) return { ...value, transfer_amount: value.transfer_amount + 1 };
    const amount = { ...value.amount, total: value.amount.total + 1 };
    if (amount.refund) amount.refund += 1;
    return { ...value, amount };
}

function notSuccess(value) {
    if (value.trade_state) return { ...value, trade_state: 'NOTPAY' };
    return value.refund_status ? { ...value, refund_status: 'PROCESSING' } : { ...value, state: 'WAIT_USER_CONFIRM' };
}

function rename(value, fields, text) {
    return Object.fromEntries(Object.entries(value).map(([name, old]) => [name, fields.includes(name) ? text : old]));
}

function flip(base64) {
    const bytes = Buffer.from(base64, 'base64');
    bytes[0] ^= 1;
    return bytes.toString('base64');
}
