// What a test can make go wrong.

import assert from 'node:assert/strict';
import { createPrivateKey, createSign } from 'node:crypto';
import test from 'node:test';

import wechatpay from 'wechatpay-axios-plugin';

import { receiver, running } from './test_support.mjs';

const { Formatter, Rsa } = wechatpay;

// A request as a merchant's program makes it, and what came of it: an answer, or none.
async function create(platform, order_no, url = 'http://127.0.0.1:9/notify') {
    const { keys } = platform;
    const body = JSON.stringify({
        appid: keys.ids.appid, mchid: keys.ids.mchid, description: '护理', out_trade_no: order_no, notify_url: url, amount: { total: 100, currency: 'CNY' },
    });
    return wechat(platform, 'POST', '/v3/pay/transactions/native', body);
}

const query = (platform, order_no) => wechat(platform, 'GET', `/v3/pay/transactions/out-trade-no/${order_no}?mchid=${platform.keys.ids.mchid}`, '');

async function wechat(platform, method, target, body) {
    const [nonce, timestamp] = [Formatter.nonce(), String(Formatter.timestamp())];
    const key = createPrivateKey(platform.read('wechat/merchant_key.pem'));
    const signature = createSign('RSA-SHA256').update(`${method}\n${target}\n${timestamp}\n${nonce}\n${body}\n`).sign(key, 'base64');
    const { ids, wechat: own } = platform.keys;
    const authorization = `WECHATPAY2-SHA256-RSA2048 ${Formatter.authorization(ids.mchid, nonce, signature, timestamp, own.merchantSerial).split(' ')[1]}`;
    const headers = { authorization, accept: 'application/json', 'content-type': 'application/json', 'user-agent': 'test' };
    try {
        const answer = await fetch(`${platform.baseUrl}${target}`, { method, headers, body: body || undefined });
        const text = await answer.text();
        const part = (name) => answer.headers.get(`Wechatpay-${name}`);
        const verifies = part('Signature') !== null
            && Rsa.verify(Formatter.response(part('Timestamp'), part('Nonce'), text), part('Signature'), platform.read('wechat/public_key.pem'));
        return { status: answer.status, text, serial: part('Serial'), verifies };
    } catch (error) {
        return { status: 0, text: String(error.cause ?? error) };
    }
}

test('each fault strikes as often as it was told to', async (t) => {
    const platform = await running(t);
    let number = 0;
    const outcome = async (fault, more = {}) => {
        number += 1;
        const order_no = `F000000${number}`;
        await platform.sim('faults', { channel: 'wechat', op: 'create', fault, ...more });
        const answer = await create(platform, order_no);
        const { orders } = await platform.facts();
        return [answer.status, answer.verifies ?? null, orders.some((order) => order.order_no === order_no)];
    };
    assert.deepEqual(await outcome('lose_answer'), [0, null, true]);
    assert.deepEqual(await outcome('reset'), [0, null, false]);
    assert.deepEqual(await outcome('truncated'), [0, null, true]);
    assert.deepEqual(await outcome('status_500'), [500, false, false]);
    assert.deepEqual(await outcome('status_500_after'), [500, false, true]);
    assert.deepEqual(await outcome('status_502_html'), [502, false, false]);
    assert.deepEqual(await outcome('bad_signature'), [200, false, true]);
    assert.deepEqual(await outcome('no_signature'), [200, false, true]);
    assert.deepEqual(await outcome('delay', { delay_ms: 5 }), [200, true, true]);
    assert.deepEqual(await outcome('late', { delay_ms: 5 }), [200, true, true]);
    assert.deepEqual(await outcome('business:NO_AUTH'), [403, true, false]);
    assert.deepEqual(await outcome('status_500', { skip: 1 }), [200, true, true]);
    assert.equal((await create(platform, 'F0000099')).status, 500);
    assert.equal((await create(platform, 'F0000099')).status, 200);
    await platform.sim('faults', { fault: 'status_500', times: null });
    assert.equal((await query(platform, 'F0000099')).status, 500);
    await platform.sim('faults/clear');
    assert.equal((await query(platform, 'F0000099')).status, 200);
    await platform.sim('down', { down: true });
    assert.equal((await query(platform, 'F0000099')).status, 0);
    await platform.sim('down', { down: false });
    assert.equal((await query(platform, 'F0000099')).status, 200);
});

test('chaos is the same with the same seed', async (t) => {
    const platform = await running(t);
    const run = async () => {
        await platform.sim('reset');
        await platform.sim('chaos', { seed: 7, rate: 0.5 });
        const statuses = [];
        for (let turn = 0; turn < 30; turn += 1) statuses.push((await create(platform, `C000${turn}00`)).status);
        return statuses;
    };
    const first = await run();
    assert.deepEqual(await run(), first);
    assert.ok(new Set(first).size > 2, String(first));
});

test('a notification is repeated until it is acknowledged', async (t) => {
    const platform = await running(t);
    const { got, url } = await receiver(t, (count) => ({ status: count < 3 ? 500 : 204, body: '' }));
    await create(platform, 'N0000001', url);
    await platform.sim('pay', { channel: 'wechat', order_no: 'N0000001' });
    await platform.get('quiet');
    assert.equal(got.length, 3);
    assert.equal(new Set(got.map(({ body }) => body)).size, 1);
    const answered = await platform.sim('deliver', { order_no: 'N0000001', variant: 'probe' });
    assert.equal(answered.answered, 204);
    assert.match(got[3].headers['wechatpay-signature'], /^WECHATPAY\/SIGNTEST\//);
});

test('the keys that sign can change', async (t) => {
    const platform = await running(t);
    const { signers } = platform.keys.wechat;
    assert.equal((await create(platform, 'K0000001')).serial, signers.public_key.serial);
    assert.equal((await wechat(platform, 'GET', '/v3/certificates', '')).status, 404);
    await platform.sim('keys', { mode: 'certificate' });
    assert.equal((await create(platform, 'K0000001')).serial, signers.certificate.serial);
    assert.equal(JSON.parse((await wechat(platform, 'GET', '/v3/certificates', '')).text).data.length, 1);
    await platform.sim('keys', { mode: 'rotate' });
    assert.equal((await create(platform, 'K0000001')).serial, signers.next.serial);
    assert.equal(JSON.parse((await wechat(platform, 'GET', '/v3/certificates', '')).text).data.length, 2);
    assert.equal((await platform.sim('keys', { mode: 'none' })).status, 400);
});
