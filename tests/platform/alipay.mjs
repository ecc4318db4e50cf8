// Alipay's gateway, protocol version 2 with RSA2: who may call, what is signed, and where each method goes.

import { sign, verify } from 'node:crypto';

import { AlipayBills } from './alipay_bills.mjs';
import { AlipayNotices } from './alipay_notices.mjs';
import { AlipayRefunds } from './alipay_refunds.mjs';
import { AlipayTrades } from './alipay_trades.mjs';
import { AlipayTransfers } from './alipay_transfers.mjs';
import { BASE64, spoiled } from './base64.mjs';
import { fromSpaced } from './china_time.mjs';
import { BadField, notifyUrl, readJson } from './fields.mjs';
import { joined } from './joined.mjs';
import { business, protocol } from './world.mjs';

const GATEWAY = '/gateway.do';
const DOWNLOAD = '/alipay/bill.zip';
const SKEW_MAX_MS = 300_000;
const FORM = /^application\/x-www-form-urlencoded(;|$)/i;
const KNOWN = [
    'app_id', 'method', 'format', 'charset', 'sign_type', 'sign', 'timestamp', 'version', 'notify_url', 'biz_content',
    'app_cert_sn', 'alipay_root_cert_sn', 'alipay_sdk',
];
const MESSAGES = {
    10000: 'Success', 20000: 'Service Currently Unavailable', 40001: 'Missing Required Arguments', 40002: 'Invalid Arguments',
    40004: 'Business Failed', 40006: 'Insufficient Permissions',
};

export class Alipay {
    channel = 'alipay';

    constructor(world, notifier) {
        this.world = world;
        this.keys = world.keys.alipay;
        this.notices = new AlipayNotices(this, notifier);
        this.trades = new AlipayTrades(this);
        this.refunds = new AlipayRefunds(this);
        this.transfers = new AlipayTransfers(this);
        this.bills = new AlipayBills(this);
        this.methods = {
            'alipay.trade.precreate': ['create', this.trades, 'precreate'],
            'alipay.trade.query': ['query', this.trades, 'query'],
            'alipay.trade.close': ['close', this.trades, 'close'],
            'alipay.trade.cancel': ['cancel', this.trades, 'cancel'],
            'alipay.trade.refund': ['refund', this.refunds, 'create'],
            'alipay.trade.fastpay.refund.query': ['refund_query', this.refunds, 'query'],
            'alipay.fund.trans.uni.transfer': ['transfer', this.transfers, 'create'],
            'alipay.fund.trans.common.query': ['transfer_query', this.transfers, 'query'],
            'alipay.data.dataservice.bill.downloadurl.query': ['bill', this.bills, 'link'],
        };
    }

    reset() {
        [this.trades, this.refunds, this.transfers, this.bills].forEach((part) => part.reset());
    }

    owns(path) {
        return path === GATEWAY || path === DOWNLOAD;
    }

    peek(request) {
        if (request.path === DOWNLOAD) return { op: 'download', no: null };
        request.form = [...new URLSearchParams(request.query), ...new URLSearchParams(request.body.toString())];
        request.given = Object.fromEntries(request.form);
        let content = {};
        try {
            content = JSON.parse(request.given.biz_content ?? '{}') ?? {};
        } catch {
            content = { unreadable: request.given.biz_content };
        }
        const { sign: _sign, biz_content: _content, ...params } = request.given;
        request.params = { ...params, biz_content: content };
        const { out_request_no, out_biz_no, out_trade_no, bill_date } = content;
        const [op] = this.methods[request.given.method] ?? ['unknown'];
        return { op, no: out_request_no ?? out_biz_no ?? out_trade_no ?? bill_date ?? null };
    }

    answer(request) {
        if (request.path === DOWNLOAD) return this.#download(request);
        const { given } = request;
        this.#authenticate(request);
        const [, part, name] = this.methods[given.method];
        try {
            const content = readJson(Buffer.from(given.biz_content ?? ''));
            return this.#signed(request, { code: '10000', msg: MESSAGES[10000], ...part[name](content, given) });
        } catch (error) {
            if (!(error instanceof BadField)) throw error;
            throw protocol('isv.invalid-parameter', `参数无效：${error.message}`, { detail: { field: error.field }, level: 40002 });
        }
    }

    refuse(request, refusal) {
        if (request.path === DOWNLOAD) return { status: 404, headers: { 'content-type': 'text/plain' }, body: Buffer.from(refusal.message) };
        const level = refusal.level ?? levelOf(refusal.code);
        const value = { code: String(level), msg: MESSAGES[level], sub_code: refusal.code, sub_msg: refusal.message };
        return this.#signed(request, value, refusal.anonymous);
    }

    failure(code) {
        return business(code, code);
    }

    spoil(answer, how) {
        const body = answer.body.toString();
        const changes = {
            no_signature: () => body.replace(/,"sign":"[^"]*"/, ''),
            wrong_serial: () => body.replace(/"alipay_cert_sn":"[^"]*"/, `"alipay_cert_sn":"${'0'.repeat(32)}"`),
            bad_signature: () => body.replace(/"sign":"([^"]*)"/, (_, signature) => `"sign":"${spoiled(signature)}"`),
        };
        return { ...answer, body: Buffer.from(changes[how]()) };
    }

    sign(text) {
        return sign('RSA-SHA256', Buffer.from(text), this.keys.key).toString('base64');
    }

    useKeys(mode) {
        throw new Error(`${mode}: Alipay answers in the mode in which it is asked`);
    }

    #download(request) {
        const content = this.bills.fetch(new URLSearchParams(request.query).get('token'));
        if (!content) throw business('NOT_FOUND', 'the link is dead');
        return { status: 200, headers: { 'content-type': 'application/zip' }, body: content };
    }

    #authenticate({ method, query, headers, form, given, body }) {
        const refuse = (code, why, more = {}) => protocol(code, why, { level: 40002, ...more });
        if (method !== 'POST') throw refuse('isv.invalid-method', 'only POST', { anonymous: true });
        if (!this.methods[given.method]) throw refuse('isv.invalid-method', '不存在的方法名', { anonymous: true });
        if (given.app_id !== this.world.keys.ids.alipayAppId) throw refuse('isv.invalid-app-id', '无效的AppID参数', { anonymous: true });
        if (body.length && !FORM.test(headers['content-type'] ?? '')) throw refuse('isv.invalid-format', 'Content-Type');
        const names = form.map(([name]) => name);
        const odd = names.find((name, index) => !KNOWN.includes(name) || names.indexOf(name) !== index);
        if (odd) throw refuse('isv.invalid-parameter', `${odd} is not a parameter, or is there twice`);
        // The gateway needs the charset before it can read the body.
        if (new URLSearchParams(query).get('charset') !== 'utf-8') throw refuse('isv.invalid-charset', 'charset 须在 URL 中');
        if (given.sign_type !== 'RSA2') throw refuse('isv.invalid-signature-type', 'sign_type');
        if (given.format !== undefined && given.format !== 'JSON') throw refuse('isv.invalid-format', 'format');
        if (given.version !== '1.0') throw refuse('isv.invalid-version', 'version');
        this.#checkCertificates(given, refuse);
        this.#checkSignature(given, refuse);
        const at_ms = fromSpaced(given.timestamp ?? '');
        if (at_ms === null || Math.abs(this.world.now() - at_ms) > SKEW_MAX_MS) throw refuse('isv.invalid-timestamp', '非法的时间戳参数');
        if (given.notify_url !== undefined) this.#checkNotifyUrl(given.notify_url, refuse);
    }

    // Certificate mode when both serial numbers are there, the mode of plain keys when neither is.
    #checkCertificates({ app_cert_sn, alipay_root_cert_sn }, refuse) {
        if (app_cert_sn === undefined && alipay_root_cert_sn === undefined) return;
        if (app_cert_sn !== this.keys.appSerial) throw refuse('isv.app-cert-not-exist', '应用公钥证书不存在');
        if (alipay_root_cert_sn !== this.keys.rootSerial) throw refuse('isv.alipay-root-cert-not-exist', '根证书不匹配');
    }

    // `sign_type` is covered; empty values are not.
    #checkSignature(given, refuse) {
        const text = joined(Object.entries(given).filter(([name]) => name !== 'sign'));
        const signature = given.sign ?? '';
        const bytes = BASE64.test(signature) ? Buffer.from(signature, 'base64') : Buffer.alloc(0);
        if (verify('RSA-SHA256', Buffer.from(text), this.keys.appPublicKey, bytes)) return;
        throw refuse('isv.invalid-signature', `验签出错，网关生成的验签字符串为：${text}`);
    }

    #checkNotifyUrl(url, refuse) {
        try {
            notifyUrl({ max: 256 })(url, 'notify_url');
        } catch (error) {
            throw refuse('isv.invalid-parameter', error.message);
        }
    }

    // The signature is over the text of the answer as it stands, escapes included.
    #signed({ given }, value, anonymous = false) {
        const text = JSON.stringify(value).replaceAll('/', '\\/');
        const name = anonymous ? 'error_response' : `${given.method.replaceAll('.', '_')}_response`;
        const serial = !anonymous && given.app_cert_sn ? `"alipay_cert_sn":"${this.keys.platformSerial}",` : '';
        const signature = anonymous ? '' : `,${serial}"sign":"${this.sign(text)}"`;
        return {
            status: 200, headers: { 'content-type': 'text/html;charset=utf-8' }, body: Buffer.from(`{"${name}":${text}${signature}}`),
        };
    }
}

function levelOf(code) {
    if (/^(isp\.|aop\.)/.test(code)) return 20000;
    return code.startsWith('isv.') ? 40002 : 40004;
}
