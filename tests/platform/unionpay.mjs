// UnionPay 5.1.0: who may call, what is signed, and where each transaction goes.

import { createHash, sign, verify } from 'node:crypto';

import { BASE64, spoiled } from './base64.mjs';
import { fromCompact } from './china_time.mjs';
import { BadField } from './fields.mjs';
import { joined } from './joined.mjs';
import { UnionpayBills } from './unionpay_bills.mjs';
import { UnionpayNotices } from './unionpay_notices.mjs';
import { UnionpayOrders } from './unionpay_orders.mjs';
import { UnionpayRefunds } from './unionpay_refunds.mjs';
import { business, protocol } from './world.mjs';

const BACK = '/gateway/api/backTransReq.do';
const QUERY = '/gateway/api/queryTrans.do';
const FILES = '/filedownload/';
const SKEW_MAX_MS = 300_000;
const FORM = /^application\/x-www-form-urlencoded(;|$)/i;

export class Unionpay {
    channel = 'unionpay';

    constructor(world, notifier) {
        this.world = world;
        this.keys = world.keys.unionpay;
        this.notices = new UnionpayNotices(this, notifier);
        this.orders = new UnionpayOrders(this);
        this.refunds = new UnionpayRefunds(this);
        this.bills = new UnionpayBills(this);
        this.transactions = {
            [`${BACK} 01/07`]: ['create', this.orders, 'create'],
            [`${QUERY} 00/00`]: ['query', this.orders, 'query'],
            [`${BACK} 31/00`]: ['void', this.refunds, 'void'],
            [`${BACK} 04/00`]: ['refund', this.refunds, 'create'],
            [`${FILES} 76/01`]: ['bill', this.bills, 'file'],
        };
    }

    reset() {
        [this.orders, this.refunds, this.bills].forEach((part) => part.reset());
    }

    owns(path) {
        return path.startsWith('/gateway/api/') || path === FILES;
    }

    peek(request) {
        request.form = [...new URLSearchParams(request.body.toString())];
        request.given = Object.fromEntries(request.form);
        const { signature: _signature, ...params } = request.given;
        request.params = params;
        const { txnType, txnSubType, orderId, settleDate } = params;
        const [op] = this.transactions[`${request.path} ${txnType}/${txnSubType}`] ?? ['unknown'];
        return { op: op === 'query' && this.refunds.all.has(orderId) ? 'refund_query' : op, no: orderId ?? settleDate ?? null };
    }

    answer(request) {
        const { given } = request;
        this.#authenticate(request);
        const transaction = this.transactions[`${request.path} ${given.txnType}/${given.txnSubType}`];
        if (!transaction) throw protocol('32', '无此交易权限');
        const [op, part, name] = transaction;
        try {
            const { signature: _signature, ...asked } = given;
            const more = part[name](asked, (field) => this.#checkTime(op, given[field]));
            return this.#signed(given, { respCode: '00', respMsg: '成功[0000000]', ...more });
        } catch (error) {
            if (!(error instanceof BadField)) throw error;
            throw protocol('10', `报文格式错误: ${error.message}`, { detail: { field: error.field } });
        }
    }

    refuse(request, refusal) {
        return this.#signed(request.given, { respCode: refusal.code, respMsg: refusal.message.replaceAll(/[&=]/g, ' ') });
    }

    failure(code) {
        return business(code, code);
    }

    spoil(answer, how) {
        const body = answer.body.toString();
        const changes = {
            no_signature: () => body.replace(/&signature=[^&]*/, ''),
            wrong_serial: () => body.replace(this.keys.certificate.trim(), this.keys.foreignCertificate.trim()),
            bad_signature: () => body.replace(/&signature=([^&]*)/, (_, signature) => `&signature=${spoiled(signature)}`),
        };
        return { ...answer, body: Buffer.from(changes[how]()) };
    }

    // The values with the certificate and the signature that make them UnionPay's.
    sealed(values, certificate = this.keys.certificate) {
        const told = { ...values, signMethod: '01', signPubKeyCert: certificate.trim() };
        return { ...told, signature: sign('RSA-SHA256', digest(told), this.keys.key).toString('base64') };
    }

    useKeys(mode) {
        throw new Error(`${mode}: UnionPay sends its certificate along`);
    }

    #authenticate({ method, query, path, form, given, headers }) {
        if (method !== 'POST' || query || !FORM.test(headers['content-type'] ?? '')) throw protocol('10', '报文格式错误');
        const names = form.map(([name]) => name);
        if (new Set(names).size !== names.length) throw protocol('10', '报文格式错误: 字段重复');
        if (given.version !== '5.1.0' || given.encoding !== 'UTF-8' || given.signMethod !== '01') throw protocol('10', '报文格式错误: version, encoding, signMethod');
        if (given.merId !== this.world.keys.ids.unionpayMerchantId) throw protocol('31', '商户状态不正确');
        if (given.certId !== this.keys.merchantCertId) throw protocol('11', '验证签名失败: certId');
        const bytes = BASE64.test(given.signature ?? '') ? Buffer.from(given.signature ?? '', 'base64') : Buffer.alloc(0);
        if (!verify('RSA-SHA256', digest(given), this.keys.merchantPublicKey, bytes)) throw protocol('11', `验证签名失败: ${path}`);
    }

    // A query names the time of the order that it asks for; everything else is of now.
    #checkTime(op, txnTime) {
        const at_ms = fromCompact(txnTime ?? '');
        if (at_ms === null) throw new BadField('txnTime', 'is not a time such as 20260302120000');
        if (op !== 'query' && Math.abs(this.world.now() - at_ms) > SKEW_MAX_MS) throw protocol('39', '交易不在受理时间范围内');
    }

    // Not percent-encoded, as the real one: the reader splits at `&` and at the first `=`.
    #signed(given, more) {
        const echoed = ['version', 'encoding', 'bizType', 'txnType', 'txnSubType', 'accessType', 'merId', 'orderId', 'txnTime', 'reqReserved', 'settleDate'];
        const values = Object.fromEntries(echoed.filter((name) => given[name]).map((name) => [name, given[name]]));
        const sealed = this.sealed({ ...values, ...more });
        const body = Object.entries(sealed).map(([name, value]) => `${name}=${value}`).join('&');
        return { status: 200, headers: { 'content-type': 'text/html;charset=UTF-8' }, body: Buffer.from(body) };
    }
}

// What is signed is the hexadecimal text of the digest, which signing then digests again.
export function digest({ signature: _signature, ...values }) {
    return Buffer.from(createHash('sha256').update(joined(Object.entries(values))).digest('hex'));
}
