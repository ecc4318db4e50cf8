// UnionPay, spoken to by a client that was written for this test alone: there is none by others.

import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createSign, createVerify, X509Certificate } from 'node:crypto';
import test from 'node:test';
import { inflateSync } from 'node:zlib';

import { unzipSync } from 'fflate';

import { receiver, running } from './test_support.mjs';

const compact = (ms) => new Date(ms + 8 * 3_600_000).toISOString().slice(0, 19).replace(/\D/g, '');

const text = (fields) => Object.keys(fields).filter((name) => name !== 'signature').sort().map((name) => `${name}=${fields[name]}`).join('&');
const digest = (fields) => createHash('sha256').update(text(fields)).digest('hex');

function signed(platform, fields) {
    const { unionpay, ids } = platform.keys;
    const whole = {
        version: '5.1.0', encoding: 'UTF-8', certId: unionpay.merchantCertId, signMethod: '01', bizType: '000000', accessType: '0',
        merId: ids.unionpayMerchantId, txnTime: compact(Date.now()), ...fields,
    };
    const key = createPrivateKey(platform.read('unionpay/merchant_key.pem'));
    return { ...whole, signature: createSign('RSA-SHA256').update(digest(whole)).sign(key, 'base64') };
}

function verified(platform, fields) {
    const certificate = new X509Certificate(fields.signPubKeyCert);
    const middle = new X509Certificate(platform.read('unionpay/middle_certificate.pem'));
    const root = new X509Certificate(platform.read('unionpay/root_certificate.pem'));
    assert.ok(certificate.verify(middle.publicKey) && middle.verify(root.publicKey));
    assert.match(certificate.subject, /中国银联股份有限公司/);
    return createVerify('RSA-SHA256').update(digest(fields)).verify(certificate.publicKey, fields.signature, 'base64');
}

async function send(platform, path, fields) {
    const answer = await fetch(`${platform.baseUrl}${path}`, { method: 'POST', body: new URLSearchParams(fields) });
    const parts = (await answer.text()).split('&').map((pair) => /^([^=]*)=(.*)$/s.exec(pair));
    const said = Object.fromEntries(parts.map(([, name, value]) => [name, value]));
    assert.ok(verified(platform, said));
    return said;
}

const change = (platform, fields) => send(platform, '/gateway/api/backTransReq.do', signed(platform, fields));
const question = (platform, fields) => send(platform, '/gateway/api/queryTrans.do', signed(platform, { txnType: '00', txnSubType: '00', ...fields }));
const order = (more = {}) => ({
    txnType: '01', txnSubType: '07', channelType: '08', orderId: 'T0000001', txnAmt: '1990', currencyCode: '156', backUrl: 'http://127.0.0.1:9/back', ...more,
});

test('a code is paid, told of, asked about and voided', async (t) => {
    const platform = await running(t);
    const { got, url } = await receiver(t, () => ({ status: 200, body: '' }));
    const txnTime = compact(Date.now());
    const made = await change(platform, order({ backUrl: url, txnTime }));
    assert.equal(made.respCode, '00');
    assert.ok(made.qrCode);
    assert.equal((await change(platform, order({ backUrl: url, txnTime }))).respCode, '12');
    assert.equal((await question(platform, { orderId: 'T0000001', txnTime })).origRespCode, '05');
    assert.equal((await question(platform, { orderId: 'T0000001', txnTime: '20260101000000' })).respCode, '34');
    assert.equal((await platform.sim('pay', { channel: 'unionpay', order_no: 'T0000001' })).paid, true);
    await platform.get('quiet');
    const told = Object.fromEntries(new URLSearchParams(got[0].body));
    assert.ok(verified(platform, told));
    const paid = await question(platform, { orderId: 'T0000001', txnTime });
    assert.deepEqual([paid.origRespCode, paid.txnAmt, paid.queryId], ['00', '1990', told.queryId]);
    const back = { txnType: '31', txnSubType: '00', channelType: '08', orderId: 'V0000001', txnAmt: '1990', origQryId: paid.queryId, backUrl: url };
    assert.equal((await change(platform, { ...back, txnAmt: '1' })).respCode, '36');
    assert.equal((await change(platform, back)).respCode, '00');
    await platform.get('quiet');
    assert.equal((await change(platform, { ...back, orderId: 'V0000002', txnType: '04', txnAmt: '1' })).respCode, '36');
    const { orders, refunds } = await platform.facts();
    assert.deepEqual([orders[0].charges, orders[0].refunded_fen, refunds[0].moves], [1, 1990, 1]);
});

test('a payment can be voided until UnionPay ends its day, which is at 23 o\'clock', async (t) => {
    const platform = await running(t);
    const at = async (time) => {
        await platform.sim('clock', { now_ms: Date.parse(`2026-03-02T${time}+08:00`) });
        return `20260302${time.replaceAll(':', '')}`;
    };
    const txnTime = await at('22:30:00');
    const pay = async (orderId) => {
        await change(platform, order({ orderId, txnTime }));
        await platform.sim('pay', { channel: 'unionpay', order_no: orderId });
        return (await question(platform, { orderId, txnTime })).queryId;
    };
    const back = (txnType, orderId, origQryId, now) => change(platform, {
        txnType, txnSubType: '00', channelType: '08', orderId, txnAmt: '1990', origQryId, backUrl: 'http://127.0.0.1:9/back', txnTime: now,
    });
    const [one, other] = [await pay('T0000001'), await pay('T0000002')];
    assert.equal((await back('31', 'V0000001', one, await at('22:59:59'))).respCode, '00');
    assert.equal((await back('31', 'V0000002', other, await at('23:00:00'))).respCode, '35');
    assert.equal((await back('04', 'V0000003', other, await at('23:00:01'))).respCode, '00');
});

test('what UnionPay refuses', async (t) => {
    const platform = await running(t);
    for (const more of [{ orderId: 'A-000001' }, { orderId: 'A1' }, { txnAmt: '1.5' }, { txnAmt: '0' }, { currencyCode: '840' }, { txnTime: '20200101000000' }, { colour: 'red' }, { merId: '1' }, { reqReserved: 'a&respCode=00' }]) {
        assert.equal((await change(platform, order(more))).respCode, '10', JSON.stringify(more));
    }
    const changed = { ...signed(platform, order()), txnAmt: '1' };
    assert.equal((await send(platform, '/gateway/api/backTransReq.do', changed)).respCode, '11');
    // A signature over the text, where the digest's own digest is meant.
    const fields = signed(platform, order());
    const key = createPrivateKey(platform.read('unionpay/merchant_key.pem'));
    const once = { ...fields, signature: createSign('RSA-SHA256').update(text(fields)).sign(key, 'base64') };
    assert.equal((await send(platform, '/gateway/api/backTransReq.do', once)).respCode, '11');
});

test('the settlement file of a day holds what was paid on it', async (t) => {
    const platform = await running(t);
    const now = Date.now();
    await change(platform, order());
    await platform.sim('clock', { now_ms: now - 3 * 86_400_000 });
    await platform.sim('pay', { channel: 'unionpay', order_no: 'T0000001' });
    await platform.sim('clock', { now_ms: null });
    const ask = (ms) => send(platform, '/', signed(platform, { txnType: '76', txnSubType: '01', fileType: '00', settleDate: compact(ms + 3_600_000).slice(4, 8) }));
    assert.equal((await ask(now - 5 * 86_400_000)).respCode, '98');
    const { respCode, fileContent } = await ask(now - 3 * 86_400_000);
    assert.equal(respCode, '00');
    const files = unzipSync(new Uint8Array(inflateSync(Buffer.from(fileContent, 'base64'))));
    const [, content] = Object.entries(files).find(([name]) => name.includes('ZM_'));
    assert.match(Buffer.from(content).toString(), /000000001990.* T0000001 /);
});
