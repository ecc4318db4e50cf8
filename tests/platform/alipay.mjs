// Alipay's gateway: who may call, what is signed, and where each call goes.

import { createVerify, createSign } from 'node:crypto';

import { AlipayBills } from './alipay_bills.mjs';
import { AlipayNotices } from './alipay_notices.mjs';
import { AlipayRefunds } from './alipay_refunds.mjs';
import { AlipayTrades } from './alipay_trades.mjs';
import { AlipayTransfers } from './alipay_transfers.mjs';
import { BASE64, spoiled } from './base64.mjs';
import { fromSpaced } from './china_time.mjs';
import { BadField, notifyUrl, readJson } from './fields.mjs';
import { business, protocol } from './world.mjs';

const SKEW_MAX_MS = 300_000;
const REQUIRED = ['app_id', 'method', 'charset', 'sign_type', 'sign', 'timestamp', 'version', 'biz_content'];
const OPTIONAL = ['format', 'notify_url', 'app_cert_sn', 'alipay_root_cert_sn', 'alipay_sdk'];
const METHODS = {
    'alipay.trade.precreate': ['create', 'trades', 'precreate'],
    'alipay.trade.query': ['query', 'trades', 'query'],
    'alipay.trade.close': ['close', 'trades', 'close'],
    'alipay.trade.cancel': ['cancel', 'trades', 'cancel'],
    'alipay.trade.refund': ['refund', 'refunds', 'create'],
    'alipay.trade.fastpay.refund.query': ['refund_query', 'refunds', 'query'],
    'alipay.fund.trans.uni.transfer': ['transfer', 'transfers', 'create'],
    'alipay.fund.trans.common.query': ['transfer_query', 'transfers', 'query'],
    'alipay.data.dataservice.bill.downloadurl.query': ['bill', 'bills', 'offer'],
};
// Only a merchant with certificates is let near these.
const NEEDS_CERTIFICATES = ['transfer', 'transfer_query'];
const MESSAGES = { 10000: 'Success', 20000: 'Service Currently Unavailable', 40001: 'Missing Required Arguments', 40002: 'Invalid Arguments', 40004: 'Business Failed', 40006: 'Insufficient Permissions' };

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
        this.reset();
    }

    reset() {
        [this.trades, this.refunds, this.transfers, this.bills].forEach((part) => part.reset());
    }

    owns(path) {
        return path === '/gateway.do' || path === '/alipay/bill';
    }

    // Which call this is, before anything about it is checked.
    peek(request) {
        if (request.path === '/alipay/bill') return { op: 'download', no: null };
        const form = new URLSearchParams(`${request.query}&${request.body}`);
        request.params = Object.fromEntries(form);
        request.api = request.params.method ?? '';
        let content;
        try {
            content = JSON.parse(request.params.biz_content);
            request.params.biz_content = content;
        } catch {
            content = {};
        }
        const { out_request_no, out_biz_no, out_trade_no, trade_no, bill_date } = content ?? {};
        const no = out_request_no ?? out_biz_no ?? out_trade_no ?? trade_no ?? bill_date ?? null;
        return { op: METHODS[request.api]?.[0] ?? 'unknown', no };
    }

    answer(request) {
        if (request.path === '/alipay/bill') return this.bills.download(request);
        const given = this.#authenticate(request);
        const route = METHODS[given.method];
        if (!route) throw protocol('isv.invalid-method', '不存在的方法名');
        const [op, part, name] = route;
        if (NEEDS_CERTIFICATES.includes(op) && !given.app_cert_sn) {
            throw protocol('isv.insufficient-isv-permissions', '该接口仅支持证书签名');
        }
        try {
            const content = readJson(Buffer.from(given.biz_content));
            const value = this[part][name](content, given);
            return this.#signed(request, { code: '10000', msg: MESSAGES[10000], ...value });
        } catch (error) {
            if (!(error instanceof BadField)) throw error;
            throw protocol(part === 'transfers' ? 'INVALID_PARAMETER' : 'ACQ.INVALID_PARAMETER', `参数无效: ${error.message}`);
        }
    }

    refuse(request, { code, message }) {
        const kind = kindOf(code);
        return this.#signed(request, { code: kind, msg: MESSAGES[kind], sub_code: code, sub_msg: message });
    }

    failure(code) {
        return business(code, code);
    }

    // What an attacker or a broken line makes of an answer.
    spoil(answer, how) {
        if (!answer.parts) return answer;
        const { name, raw, sign, serial } = answer.parts;
        const parts = { name, raw, sign, serial };
        if (how === 'no_signature') delete parts.sign;
        else if (how === 'wrong_serial') parts.serial = '0'.repeat(32);
        else parts.sign = spoiled(sign);
        return { ...answer, body: compose(parts) };
    }

    sign(text) {
        return createSign('RSA-SHA256').update(text).sign(this.keys.key, 'base64');
    }

    useKeys(mode) {
        throw new Error(`Alipay has one key; ${mode} is not a mode of it`);
    }

    #authenticate(request) {
        if (request.method !== 'POST') throw protocol('isv.invalid-method', 'POST only');
        const given = this.#parameters(request);
        const absent = REQUIRED.find((name) => !given[name]);
        if (absent) throw protocol(`isv.missing-${absent.replace('_', '-')}`, `缺少参数 ${absent}`);
        const { ids } = this.world.keys;
        const wanted = { app_id: ids.alipayAppId, charset: 'utf-8', sign_type: 'RSA2', version: '1.0' };
        if (given.format !== undefined) wanted.format = 'JSON';
        for (const [name, value] of Object.entries(wanted)) {
            if (given[name] !== value) throw protocol(`isv.invalid-${name.replace('_', '-')}`, `${name} 无效`);
        }
        const text = Object.keys(given).filter((name) => name !== 'sign' && given[name] !== '').sort()
            .map((name) => `${name}=${given[name]}`).join('&');
        const genuine = BASE64.test(given.sign)
            && createVerify('RSA-SHA256').update(text).verify(this.keys.appPublicKey, given.sign, 'base64');
        if (!genuine) throw protocol('isv.invalid-signature', '验签出错');
        const at_ms = fromSpaced(given.timestamp);
        if (at_ms === null || Math.abs(this.world.now() - at_ms) > SKEW_MAX_MS) throw protocol('isv.invalid-timestamp', '非法的时间戳参数');
        this.#checkCertificates(given);
        if (given.notify_url) this.#checkNotifyUrl(given.notify_url);
        return given;
    }

    // The URL holds what names the call, or the gateway can't read the body's charset; nothing is there twice.
    #parameters({ query, body, headers }) {
        if (!new URLSearchParams(query).has('charset')) throw protocol('isv.missing-charset', 'charset 须在 URL 中');
        if (body.length && !/^application\/x-www-form-urlencoded(;|$)/.test(headers['content-type'] ?? '')) {
            throw protocol('isv.invalid-parameter', 'the body is not a form');
        }
        const given = {};
        for (const [name, value] of [...new URLSearchParams(query), ...new URLSearchParams(body.toString())]) {
            if (name in given) throw protocol('isv.invalid-parameter', `${name} is there twice`);
            if (![...REQUIRED, ...OPTIONAL].includes(name)) throw protocol('isv.invalid-parameter', `${name} is not a parameter`);
            given[name] = value;
        }
        return given;
    }

    #checkCertificates({ app_cert_sn, alipay_root_cert_sn }) {
        if (app_cert_sn === undefined && alipay_root_cert_sn === undefined) return;
        if (app_cert_sn !== this.keys.appSerial) throw protocol('isv.invalid-app-cert-sn', '应用公钥证书 SN 不匹配');
        if (alipay_root_cert_sn !== this.keys.rootSerial) throw protocol('isv.invalid-alipay-root-cert-sn', '支付宝根证书 SN 不匹配');
    }

    #checkNotifyUrl(url) {
        try {
            notifyUrl({ max: 256 })(url, 'notify_url');
        } catch (error) {
            throw protocol('isv.invalid-parameter', error.message);
        }
    }

    #signed(request, value) {
        const name = METHODS[request.api] ? `${request.api.replaceAll('.', '_')}_response` : 'error_response';
        // The real one escapes slashes, which whoever writes the text anew to verify it does not.
        const raw = JSON.stringify(value).replaceAll('/', '\\/');
        const parts = { name, raw, sign: this.sign(raw) };
        if (request.params.app_cert_sn) parts.serial = this.keys.platformSerial;
        return { status: 200, headers: { 'content-type': 'text/html;charset=utf-8' }, parts, body: compose(parts) };
    }
}

function kindOf(code) {
    if (code.startsWith('isv.missing')) return '40001';
    if (code.startsWith('isv.insufficient')) return '40006';
    if (code.startsWith('isv.')) return '40002';
    return code.startsWith('isp.unknow') ? '20000' : '40004';
}

function compose({ name, raw, sign, serial }) {
    const text = (value) => JSON.stringify(value).replaceAll('/', '\\/');
    const members = [`"${name}":${raw}`];
    if (serial !== undefined) members.push(`"alipay_cert_sn":${text(serial)}`);
    if (sign !== undefined) members.push(`"sign":${text(sign)}`);
    return Buffer.from(`{${members.join()}}`);
}
