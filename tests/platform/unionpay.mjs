// UnionPay 5.1.0: who may call, what is signed, and where each call goes.

import { createHash, createSign, createVerify } from 'node:crypto';

import { BASE64, spoiled } from './base64.mjs';
import { day, fromCompact } from './china_time.mjs';
import { BadField, exactly, object, optional, text, that } from './fields.mjs';
import { UnionpayBills } from './unionpay_bills.mjs';
import { UnionpayNotices } from './unionpay_notices.mjs';
import { UnionpayOrders } from './unionpay_orders.mjs';
import { UnionpayRefunds } from './unionpay_refunds.mjs';
import { business, protocol } from './world.mjs';

const SKEW_MAX_MS = 300_000;
const CHANGES = '/gateway/api/backTransReq.do';
const QUESTIONS = '/gateway/api/queryTrans.do';
// The files have a host of their own, and nothing behind it.
const FILES = '/';
const ROUTES = {
    [`${CHANGES} 01 07`]: ['create', 'orders', 'create'],
    [`${QUESTIONS} 00 00`]: ['query', 'orders', 'query'],
    [`${CHANGES} 31 00`]: ['refund', 'refunds', 'create'],
    [`${CHANGES} 04 00`]: ['refund', 'refunds', 'create'],
    [`${FILES} 76 01`]: ['bill', 'bills', 'offer'],
};
export const TIME = that((value) => fromCompact(value) !== null, 'is not a time such as 20260302120000');
export const AMOUNT = text({ max: 12, pattern: /^[1-9]\d*$/ });
export const NUMBER = text({ min: 8, max: 40, pattern: /^[0-9A-Za-z]+$/ });

export class Unionpay {
    channel = 'unionpay';

    constructor(world, notifier) {
        this.world = world;
        this.keys = world.keys.unionpay;
        this.common = {
            version: exactly('5.1.0'), encoding: exactly('UTF-8'), certId: exactly(this.keys.merchantCertId), signMethod: exactly('01'),
            txnType: text({ max: 2 }), txnSubType: text({ max: 2 }), bizType: exactly('000000'), accessType: exactly('0'),
            merId: exactly(world.keys.ids.unionpayMerchantId), txnTime: TIME, signature: text({ max: 1024 }),
            channelType: optional(exactly('07', '08')), // It comes back in answers, which are not encoded, and must not take them apart.
            reqReserved: optional(text({ max: 1024, pattern: /^[^&=+%{}[\]]+$/ })),
        };
        this.notices = new UnionpayNotices(this, notifier);
        this.orders = new UnionpayOrders(this);
        this.refunds = new UnionpayRefunds(this);
        this.bills = new UnionpayBills(this);
        this.reset();
    }

    reset() {
        [this.orders, this.refunds, this.bills].forEach((part) => part.reset());
    }

    owns(path) {
        return [CHANGES, QUESTIONS, FILES].includes(path);
    }

    // Which call this is, before anything about it is checked.
    peek(request) {
        request.params = Object.fromEntries(new URLSearchParams(request.body.toString()));
        const { txnType, txnSubType, orderId, settleDate } = request.params;
        let op = ROUTES[`${request.path} ${txnType} ${txnSubType}`]?.[0] ?? 'unknown';
        if (op === 'query' && this.refunds.all.has(orderId)) op = 'refund_query';
        return { op, no: orderId ?? settleDate ?? null };
    }

    answer(request) {
        try {
            const given = this.#authenticate(request);
            const route = ROUTES[`${request.path} ${given.txnType} ${given.txnSubType}`];
            if (!route) throw protocol('10', `交易类型有误 ${given.txnType} ${given.txnSubType}`);
            const [, part, name] = route;
            return this.#signed(given, { respCode: '00', respMsg: '成功[0000000]', ...this[part][name](given) });
        } catch (error) {
            if (!(error instanceof BadField)) throw error;
            throw protocol('10', `报文格式错误 ${error.message}`);
        }
    }

    refuse(request, { code, message }) {
        return this.#signed(request.params ?? {}, { respCode: code, respMsg: message.replaceAll(/[&=]/g, ' ') });
    }

    failure(code) {
        return business(code, code);
    }

    // What an attacker or a broken line makes of an answer.
    spoil(answer, how) {
        const fields = { ...answer.fields };
        if (how === 'no_signature') delete fields.signature;
        else if (how === 'wrong_serial') fields.signPubKeyCert = this.keys.foreignCertificate;
        else fields.signature = spoiled(fields.signature);
        return { ...answer, body: compose(fields) };
    }

    useKeys(mode) {
        throw new Error(`UnionPay has one key; ${mode} is not a mode of it`);
    }

    // Fields with their certificate and the signature over the hexadecimal digest.
    sign(fields, certificate = this.keys.certificate) {
        const whole = { ...fields, signPubKeyCert: certificate };
        return { ...whole, signature: createSign('RSA-SHA256').update(digest(whole)).sign(this.keys.key, 'base64') };
    }

    // What each call adds to the fields that all have.
    check(given, more) {
        object({ ...this.common, ...more })(given);
    }

    checkNow(given) {
        if (Math.abs(this.world.now() - fromCompact(given.txnTime)) > SKEW_MAX_MS) throw protocol('10', 'txnTime 不是当前时间');
    }

    #authenticate({ method, query, headers, body }) {
        if (method !== 'POST' || query) throw protocol('10', 'POST without a query only');
        if (!/^application\/x-www-form-urlencoded(;|$)/.test(headers['content-type'] ?? '')) throw protocol('10', 'the body is not a form');
        const given = {};
        for (const [name, value] of new URLSearchParams(body.toString())) {
            if (name in given) throw protocol('10', `${name} is there twice`);
            given[name] = value;
        }
        // Empty fields are not signed and say nothing.
        const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ''));
        if (present.certId !== this.keys.merchantCertId) throw protocol('11', 'certId 有误');
        const genuine = BASE64.test(present.signature ?? '!')
            && createVerify('RSA-SHA256').update(digest(present)).verify(this.keys.merchantPublicKey, present.signature, 'base64');
        if (!genuine) throw protocol('11', '验证签名失败');
        return present;
    }

    #signed(given, more) {
        const echoed = ['version', 'encoding', 'signMethod', 'txnType', 'txnSubType', 'bizType', 'accessType', 'merId', 'orderId', 'txnTime', 'reqReserved'];
        // What would take the answer apart is not said again.
        const kept = echoed.filter((name) => given[name] && !/[&=]/.test(given[name])).map((name) => [name, given[name]]);
        const fields = this.sign({ ...Object.fromEntries(kept), ...more });
        return { status: 200, headers: { 'content-type': 'text/html;charset=UTF-8' }, fields, body: compose(fields) };
    }
}

// The lower-case hexadecimal SHA-256 of the sorted fields, of which the signature takes the SHA-256 once more.
export function digest(fields) {
    const names = Object.keys(fields).filter((name) => name !== 'signature' && fields[name] !== '').sort();
    return createHash('sha256').update(names.map((name) => `${name}=${fields[name]}`).join('&')).digest('hex');
}

// UnionPay's own day ends at 23 o'clock.
export function settlementDay(at_ms) {
    return day(at_ms + 3_600_000);
}

// Answers are not percent-encoded.
function compose(fields) {
    return Buffer.from(Object.entries(fields).map(([name, value]) => `${name}=${value}`).join('&'));
}
