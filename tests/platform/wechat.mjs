// WeChat Pay API v3: who may call, what is signed, and where each call goes.

import wechatpay from 'wechatpay-axios-plugin';

import { BASE64, spoiled } from './base64.mjs';
import { BadField, parameters } from './fields.mjs';
import { WechatBills } from './wechat_bills.mjs';
import { WechatNotices } from './wechat_notices.mjs';
import { WechatOrders } from './wechat_orders.mjs';
import { WechatRefunds } from './wechat_refunds.mjs';
import { WechatTransfers } from './wechat_transfers.mjs';
import { business, protocol } from './world.mjs';

const { Aes, Formatter, Rsa } = wechatpay;

const SKEW_MAX_S = 300;
const SCHEME = 'WECHATPAY2-SHA256-RSA2048';
const FIELD = /^(mchid|nonce_str|timestamp|serial_no|signature)="([^"]*)"$/;
const ORDER = '/v3/pay/transactions';
const TRANSFER = '/v3/fund-app/mch-transfer/transfer-bills';
const STATUS = {
    PARAM_ERROR: 400, INVALID_REQUEST: 400, ORDERPAID: 400, ORDER_CLOSED: 400, NO_STATEMENT_EXIST: 400, STATEMENT_CREATING: 400,
    APPID_MCHID_NOT_MATCH: 400, MCH_NOT_EXISTS: 400, SIGN_ERROR: 401, NO_AUTH: 403, OUT_TRADE_NO_USED: 403, NOT_ENOUGH: 403,
    TRADE_ERROR: 403, RULE_LIMIT: 403, ACCOUNT_ERROR: 403, USER_ACCOUNT_ABNORMAL: 403, ORDER_NOT_EXIST: 404,
    RESOURCE_NOT_EXISTS: 404, NOT_FOUND: 404, FREQUENCY_LIMITED: 429, SYSTEM_ERROR: 500, BANK_ERROR: 500, USERPAYING: 202,
    ACCEPTED: 202,
};
// The number that `Request-ID` ends with says more than the code does.
const REASONS = { SIGN_ERROR: 268443699, ORDERPAID: 268498689, ORDER_CLOSED: 268447914 };

export class Wechat {
    channel = 'wechat';

    constructor(world, notifier) {
        this.world = world;
        this.keys = world.keys.wechat;
        this.notices = new WechatNotices(this, notifier);
        this.orders = new WechatOrders(this);
        this.refunds = new WechatRefunds(this);
        this.transfers = new WechatTransfers(this);
        this.bills = new WechatBills(this);
        this.reset();
    }

    reset() {
        this.signsWith = 'public_key';
        this.rotated = false;
        [this.orders, this.refunds, this.transfers, this.bills].forEach((part) => part.reset());
    }

    owns(path) {
        return path.startsWith('/v3/');
    }

    // Which call this is, before anything about it is checked.
    peek(request) {
        const route = this.#route(request);
        if (!route) return { op: 'unknown', no: null };
        try {
            request.params = request.body.length ? JSON.parse(request.body) : Object.fromEntries(new URLSearchParams(request.query));
        } catch {
            request.params = { unreadable: request.body.toString('latin1').slice(0, 1000) };
        }
        const { out_refund_no, out_bill_no, out_trade_no, bill_date } = request.params ?? {};
        return { op: route.op, no: route.no ?? out_refund_no ?? out_bill_no ?? out_trade_no ?? bill_date ?? null };
    }

    answer(request) {
        this.#authenticate(request);
        const route = this.#route(request);
        if (!route) throw protocol('NOT_FOUND', `no call is ${request.method} ${request.path}`);
        try {
            const value = route.call(request, route.no);
            if (value instanceof Buffer) return { status: 200, headers: { 'content-type': 'text/plain' }, body: value };
            return this.#signed(value === null ? 204 : 200, value);
        } catch (error) {
            if (!(error instanceof BadField)) throw error;
            const detail = { field: error.field, issue: error.why, location: request.body.length ? 'body' : 'query' };
            throw protocol('PARAM_ERROR', `参数错误: ${error.message}`, { detail });
        }
    }

    refuse(_request, refusal) {
        const body = { code: refusal.code, message: refusal.message, ...(refusal.detail && { detail: refusal.detail }) };
        return this.#signed(STATUS[refusal.code] ?? 400, body, refusal.reason ?? REASONS[refusal.code] ?? 268435456);
    }

    failure(code) {
        return business(code, code);
    }

    // What an attacker or a broken line makes of an answer.
    spoil(answer, how) {
        // A bill's file is not signed.
        if (!answer.headers['Wechatpay-Signature']) return answer;
        const headers = { ...answer.headers };
        if (how === 'no_signature') delete headers['Wechatpay-Signature'];
        else if (how === 'wrong_serial') headers['Wechatpay-Serial'] = 'PUB_KEY_ID_0000000000000000000000000000000';
        else headers['Wechatpay-Signature'] = spoiled(headers['Wechatpay-Signature']);
        return { ...answer, headers };
    }

    signer() {
        return this.keys.signers[this.signsWith];
    }

    // The five headers that make a body this platform's word.
    signature(body, { signer = this.signer(), at_ms = this.world.now() } = {}) {
        const timestamp = String(Math.floor(at_ms / 1000));
        const nonce = Formatter.nonce(32);
        return {
            'Wechatpay-Timestamp': timestamp,
            'Wechatpay-Nonce': nonce,
            'Wechatpay-Signature': Rsa.sign(Formatter.response(timestamp, nonce, body), signer.key),
            'Wechatpay-Serial': signer.serial,
            'Wechatpay-Signature-Type': SCHEME,
        };
    }

    seal(plaintext, aad, { nonce = Formatter.nonce(12) } = {}) {
        const ciphertext = Aes.AesGcm.encrypt(plaintext, this.keys.apiV3Key, nonce, aad);
        return { algorithm: 'AEAD_AES_256_GCM', ciphertext, nonce, associated_data: aad };
    }

    // A sensitive field, which the caller encrypted with the key that its Wechatpay-Serial names.
    open(ciphertext, request, field) {
        const signer = Object.values(this.keys.signers).find(({ serial }) => serial === request.headers['wechatpay-serial']);
        if (!signer) throw protocol('PARAM_ERROR', `${field}: Wechatpay-Serial 未指明加密所用的公钥`);
        try {
            if (!BASE64.test(ciphertext)) throw new Error('not Base64');
            return Rsa.decrypt(ciphertext, signer.key);
        } catch {
            throw protocol('PARAM_ERROR', `${field}: 敏感信息解密失败`, { detail: { field } });
        }
    }

    checkAppid(appid) {
        if (appid !== this.world.keys.ids.appid) throw protocol('APPID_MCHID_NOT_MATCH', 'appid 和 mchid 不匹配');
    }

    // Which key signs from now on: the public key, the certificate, or a certificate that the merchant has not seen yet.
    useKeys(mode) {
        const signers = { public_key: 'public_key', certificate: 'certificate', rotate: 'next' };
        if (!signers[mode]) throw new Error(`${mode} is not a mode`);
        this.signsWith = signers[mode];
        this.rotated ||= mode === 'rotate';
    }

    #certificates(request) {
        const query = parameters(request, ['algorithm_type']);
        if (!['RSA', 'ALL', undefined].includes(query.algorithm_type)) throw protocol('PARAM_ERROR', 'algorithm_type');
        // Merchants who use the public key have none.
        if (this.signsWith === 'public_key') throw business('RESOURCE_NOT_EXISTS', '平台证书不存在');
        const { signers, certificates } = this.keys;
        const listed = [[signers.certificate, certificates[0]], ...(this.rotated ? [[signers.next, certificates[1]]] : [])];
        const data = listed.map(([{ serial }, pem]) => ({
            serial_no: serial, effective_time: '2020-01-01T08:00:00+08:00', expire_time: '2049-12-31T08:00:00+08:00',
            encrypt_certificate: this.seal(pem, 'certificate'),
        }));
        return { data };
    }

    #route({ method, path }) {
        const call = (op, part, name, no = null) => ({ op, no, call: (request, number) => part[name](request, number) });
        const under = (prefix) => (path.startsWith(prefix) ? path.slice(prefix.length).split('/') : []);
        const last = (parts) => (parts.length === 1 ? decode(parts[0]) : null);
        if (method === 'POST') {
            if (path === `${ORDER}/native` || path === `${ORDER}/jsapi`) return call('create', this.orders, 'create');
            const [no, verb, ...more] = under(`${ORDER}/out-trade-no/`);
            if (verb === 'close' && !more.length) return call('close', this.orders, 'close', decode(no));
            if (path === '/v3/refund/domestic/refunds') return call('refund', this.refunds, 'create');
            if (path === TRANSFER) return call('transfer', this.transfers, 'create');
            const [bill, what, ...others] = under(`${TRANSFER}/out-bill-no/`);
            if (what === 'cancel' && !others.length) return call('transfer_cancel', this.transfers, 'cancel', decode(bill));
        }
        if (method === 'GET') {
            const lookups = [
                [`${ORDER}/out-trade-no/`, 'query', this.orders, 'query'],
                [`${ORDER}/id/`, 'query', this.orders, 'queryById'],
                ['/v3/refund/domestic/refunds/', 'refund_query', this.refunds, 'query'],
                [`${TRANSFER}/out-bill-no/`, 'transfer_query', this.transfers, 'query'],
                [`${TRANSFER}/transfer-bill-no/`, 'transfer_query', this.transfers, 'queryById'],
            ];
            for (const [prefix, op, part, name] of lookups) {
                const no = last(under(prefix));
                if (no) return call(op, part, name, no);
            }
            if (path === '/v3/bill/tradebill') return call('bill', this.bills, 'trades');
            if (path === '/v3/bill/fundflowbill') return call('bill', this.bills, 'funds');
            if (path === '/v3/billdownload/file') return call('download', this.bills, 'download');
            if (path === '/v3/certificates') return { op: 'certificates', no: null, call: (request) => this.#certificates(request) };
        }
        return null;
    }

    #authenticate({ method, target, headers, body }) {
        const refuse = (why) => protocol('SIGN_ERROR', `签名错误: ${why}`, { detail: { issue: why } });
        const [scheme, rest = ''] = (headers.authorization ?? '').split(/ (.*)/s);
        if (scheme !== SCHEME) throw refuse(`Authorization is not ${SCHEME}`);
        const pairs = rest.split(',').map((pair) => FIELD.exec(pair));
        const given = Object.fromEntries(pairs.map((pair) => (pair ? [pair[1], pair[2]] : ['unknown', ''])));
        if (pairs.length !== 5 || Object.keys(given).length !== 5 || 'unknown' in given) throw refuse('Authorization has not the five fields');
        if (given.mchid !== this.world.keys.ids.mchid) throw refuse('mchid is not that of a merchant');
        if (given.serial_no !== this.keys.merchantSerial) throw refuse('serial_no is not that of the merchant certificate');
        if (!/^[0-9A-Za-z]{1,32}$/.test(given.nonce_str)) throw refuse('nonce_str is not 1 to 32 letters and digits');
        if (!/^[1-9]\d{0,10}$/.test(given.timestamp)) throw refuse('timestamp is not a time in seconds');
        if (Math.abs(this.world.now() / 1000 - Number(given.timestamp)) >= SKEW_MAX_S) throw refuse('timestamp is too far from now');
        const message = Formatter.request(method, target, given.timestamp, given.nonce_str, body.toString());
        const genuine = BASE64.test(given.signature) && Rsa.verify(message, given.signature, this.keys.merchantPublicKey);
        if (!genuine) throw refuse('the signature does not fit the request');
        this.#checkHeaders(headers, body);
    }

    #checkHeaders(headers, body) {
        const refuse = (header) => protocol('PARAM_ERROR', `${header} is missing or wrong`, { detail: { field: header, location: 'header' } });
        if (!/application\/json|\*\/\*/.test(headers.accept ?? '')) throw refuse('Accept');
        if (!headers['user-agent']) throw refuse('User-Agent');
        if (body.length && !/^application\/json(;|$)/.test(headers['content-type'] ?? '')) throw refuse('Content-Type');
        const known = Object.values(this.keys.signers).map(({ serial }) => serial);
        if (headers['wechatpay-serial'] !== undefined && !known.includes(headers['wechatpay-serial'])) throw refuse('Wechatpay-Serial');
    }

    #signed(status, value, reason = 0) {
        const body = value === null ? '' : JSON.stringify(value);
        const headers = { 'Request-ID': `${this.world.number('08', 20)}-${reason}`, ...this.signature(body) };
        if (value !== null) headers['content-type'] = 'application/json; charset=utf-8';
        return { status, headers, body: Buffer.from(body) };
    }
}

function decode(segment) {
    try {
        return decodeURIComponent(segment);
    } catch {
        return segment;
    }
}
