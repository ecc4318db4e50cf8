// WeChat Pay, spoken to by wechatpay-axios-plugin, which was written by others.

import assert from 'node:assert/strict';
import { createHash, createPublicKey } from 'node:crypto';
import test from 'node:test';

import wechatpay from 'wechatpay-axios-plugin';

import { receiver, running } from './test_support.mjs';

const { Aes, Formatter, Rsa, Wechatpay } = wechatpay;

function client(platform) {
    const { keys } = platform;
    return new Wechatpay({
        mchid: keys.ids.mchid, serial: keys.wechat.merchantSerial, privateKey: platform.read('wechat/merchant_key.pem'),
        certs: { [keys.wechat.publicKeyId]: platform.read('wechat/public_key.pem') }, baseURL: `${platform.baseUrl}/`,
    });
}

function order(platform, url, more = {}) {
    const { mchid, appid } = platform.keys.ids;
    return {
        appid, mchid, description: '月子护理', out_trade_no: 'T0000000001', notify_url: url, amount: { total: 1_288_800, currency: 'CNY' }, ...more,
    };
}

async function refused(promise) {
    const error = await promise.then(() => assert.fail('it was accepted'), (failure) => failure);
    assert.ok(error.response, String(error));
    return `${error.response.status} ${error.response.data.code}`;
}

test('an order is made, paid, told of and refunded', async (t) => {
    const platform = await running(t);
    const { got, url } = await receiver(t);
    const wx = client(platform);
    const { mchid } = platform.keys.ids;
    const made = await wx.v3.pay.transactions.native.post(order(platform, url));
    assert.match(made.data.code_url, /^weixin:\/\//);
    const again = await wx.v3.pay.transactions.native.post(order(platform, url));
    assert.notEqual(again.data.code_url, made.data.code_url);
    const open = await wx.chain('v3/pay/transactions/out-trade-no/T0000000001').get({ params: { mchid } });
    assert.equal(open.data.trade_state, 'NOTPAY');

    assert.equal((await platform.sim('pay', { channel: 'wechat', order_no: 'T0000000001', payer: 'oPayer' })).paid, true);
    assert.equal((await platform.sim('pay', { channel: 'wechat', order_no: 'T0000000001' })).why, 'paid');
    await platform.get('quiet');
    assert.equal(got.length, 1);
    const { headers, body } = got[0];
    const signed = Formatter.response(headers['wechatpay-timestamp'], headers['wechatpay-nonce'], body);
    assert.ok(Rsa.verify(signed, headers['wechatpay-signature'], platform.read('wechat/public_key.pem')));
    const { resource } = JSON.parse(body);
    const told = JSON.parse(Aes.AesGcm.decrypt(resource.ciphertext, platform.read('wechat/api_v3_key'), resource.nonce, resource.associated_data));
    assert.equal(told.amount.total, 1_288_800);
    const paid = await wx.chain(`v3/pay/transactions/id/${told.transaction_id}`).get({ params: { mchid } });
    assert.equal(paid.data.trade_state, 'SUCCESS');
    assert.equal(await refused(wx.chain('v3/pay/transactions/out-trade-no/T0000000001/close').post({ mchid })), '400 ORDERPAID');

    const refund = { out_trade_no: 'T0000000001', out_refund_no: 'R1', amount: { refund: 100, total: 1_288_800, currency: 'CNY' } };
    assert.equal((await wx.v3.refund.domestic.refunds.post(refund)).data.status, 'PROCESSING');
    assert.equal(await refused(wx.v3.refund.domestic.refunds.post({ ...refund, reason: 'other' })), '400 INVALID_REQUEST');
    await platform.get('quiet');
    assert.equal((await wx.chain('v3/refund/domestic/refunds/R1').get()).data.status, 'SUCCESS');
    const facts = await platform.facts();
    assert.deepEqual(facts.orders.map(({ state, charges, charged_fen, refunded_fen }) => [state, charges, charged_fen, refunded_fen]), [['REFUND', 1, 1_288_800, 100]]);
    assert.deepEqual(facts.refunds.map(({ moves, moved_fen }) => [moves, moved_fen]), [[1, 100]]);
});

test('what the platform refuses', async (t) => {
    const platform = await running(t);
    const wx = client(platform);
    const native = (more) => refused(wx.v3.pay.transactions.native.post(order(platform, 'http://127.0.0.1:9/notify', more)));
    await wx.v3.pay.transactions.native.post(order(platform, 'http://127.0.0.1:9/notify'));
    assert.equal(await native({ amount: { total: 5, currency: 'CNY' } }), '400 INVALID_REQUEST');
    for (const more of [
        { out_trade_no: 'A.B.C.D' }, { out_trade_no: 'short' }, { colour: 'red' }, { attach: null }, { amount: { total: 0 } },
        { amount: { total: 1.5 } }, { notify_url: 'http://127.0.0.1:9/notify?a=1' }, { mchid: '1' }, { description: '护'.repeat(128) },
    ]) assert.equal(await native(more), '400 PARAM_ERROR', JSON.stringify(more));
    assert.equal(await native({ appid: 'wx1' }), '400 APPID_MCHID_NOT_MATCH');
    await platform.sim('clock', { now_ms: Date.now() + 301_000 });
    assert.equal(await refused(wx.v3.pay.transactions.native.post(order(platform, 'http://127.0.0.1:9/notify'))), '401 SIGN_ERROR');
    await platform.sim('clock', { now_ms: null });
    const unsigned = await fetch(`${platform.baseUrl}/v3/pay/transactions/native`, { method: 'POST', body: '{}' });
    assert.equal(unsigned.status, 401);
    const refusals = await platform.get('refusals');
    assert.equal(refusals.length, 13);
});

test('a transfer reaches the user who confirms it, and only once', async (t) => {
    const platform = await running(t);
    const wx = client(platform);
    const key = platform.read('wechat/public_key.pem');
    const headers = { 'Wechatpay-Serial': platform.keys.wechat.publicKeyId };
    const bills = wx.chain('v3/fund-app/mch-transfer/transfer-bills');
    const transfer = (more = {}) => ({
        appid: platform.keys.ids.appid, out_bill_no: 'P1', transfer_scene_id: '1005', openid: 'oWorker', transfer_amount: 300_000,
        transfer_remark: '三月', user_name: Rsa.encrypt('王芳', key),
        transfer_scene_report_infos: [{ info_type: '岗位类型', info_content: '护理师' }, { info_type: '报酬说明', info_content: '护理' }], ...more,
    });
    const made = await bills.post(transfer(), { headers });
    assert.equal(made.data.state, 'WAIT_USER_CONFIRM');
    assert.ok(made.data.package_info);
    assert.equal((await bills.post(transfer(), { headers })).data.transfer_bill_no, made.data.transfer_bill_no);
    assert.equal(await refused(bills.post(transfer({ transfer_amount: 300_001 }), { headers })), '400 INVALID_REQUEST');
    assert.equal(await refused(bills.post(transfer({ out_bill_no: 'P2', user_name: undefined }), { headers })), '400 PARAM_ERROR');
    assert.equal(await refused(bills.post(transfer({ out_bill_no: 'P_2' }), { headers })), '400 PARAM_ERROR');
    const own = createPublicKey(platform.read('wechat/merchant_key.pem')).export({ format: 'pem', type: 'spki' });
    assert.equal(await refused(bills.post(transfer({ out_bill_no: 'P2', user_name: Rsa.encrypt('王芳', own) }), { headers })), '400 PARAM_ERROR');
    assert.equal((await platform.sim('confirm', { out_bill_no: 'P1' })).confirmed, true);
    assert.equal((await wx.chain('v3/fund-app/mch-transfer/transfer-bills/out-bill-no/P1').get()).data.state, 'SUCCESS');
    const { transfers } = await platform.facts();
    assert.deepEqual(transfers.map(({ moves, moved_fen }) => [moves, moved_fen]), [[1, 300_000]]);
});

test('the bill of a day holds what was paid on it', async (t) => {
    const platform = await running(t);
    const wx = client(platform);
    const now = Date.now();
    const day = (ms) => new Date(ms + 8 * 3_600_000).toISOString().slice(0, 10);
    await wx.v3.pay.transactions.native.post(order(platform, 'http://127.0.0.1:9/notify'));
    // Paid three days ago by the platform's clock: the client signs with the machine's.
    const paid_ms = now - 3 * 86_400_000;
    await platform.sim('clock', { now_ms: paid_ms });
    await platform.sim('pay', { channel: 'wechat', order_no: 'T0000000001' });
    await platform.sim('clock', { now_ms: null });
    const ask = (bill_date) => wx.v3.bill.tradebill.get({ params: { bill_date } });
    assert.equal(await refused(ask(day(now))), '400 STATEMENT_CREATING');
    assert.equal(await refused(ask(day(paid_ms - 86_400_000))), '400 NO_STATEMENT_EXIST');
    const { data } = await ask(day(paid_ms));
    const { pathname, search } = new URL(data.download_url);
    const file = await wx.chain(`${pathname.slice(1)}${search}`).get({ responseType: 'arraybuffer', transformResponse: [(raw) => raw] });
    const bytes = Buffer.from(file.data);
    assert.equal(createHash('sha1').update(bytes).digest('hex'), data.hash_value);
    const { rows, summary } = Formatter.castCsvBill(bytes.toString());
    assert.equal(rows.length, 1);
    assert.ok(Object.values(rows[0]).includes('12888.00'), JSON.stringify(rows[0]));
    assert.ok(summary);
    await platform.sim('bill', { channel: 'wechat', date: day(paid_ms), tamper: 'bad_hash' });
    assert.notEqual((await ask(day(paid_ms))).data.hash_value, data.hash_value);
});

test('each variant of a notification is another one', async (t) => {
    const platform = await running(t);
    const wx = client(platform);
    await wx.v3.pay.transactions.native.post(order(platform, 'http://127.0.0.1:9/notify'));
    await platform.sim('notify', { mode: 'manual' });
    await platform.sim('pay', { channel: 'wechat', order_no: 'T0000000001' });
    const raw = (variant) => platform.sim('deliver', { order_no: 'T0000000001', variant, raw: true });
    const verifies = ({ headers, body }) => Rsa.verify(
        Formatter.response(headers['Wechatpay-Timestamp'], headers['Wechatpay-Nonce'], body), headers['Wechatpay-Signature'],
        platform.read('wechat/public_key.pem'),
    );
    const plain = await raw('plain');
    assert.ok(verifies(plain));
    assert.deepEqual(await raw('duplicate'), plain);
    const bodies = new Set([plain.body]);
    for (const variant of ['wrong_amount', 'wrong_mchid', 'wrong_appid', 'wrong_currency', 'not_success', 'gcm_flip', 'wrong_aad']) {
        const message = await raw(variant);
        assert.ok(verifies(message), variant);
        bodies.add(message.body);
    }
    assert.equal(bodies.size, 8);
    for (const variant of ['bad_signature', 'reserialised', 'serial_certificate', 'probe']) {
        const message = await raw(variant);
        assert.equal(/^[A-Za-z0-9+=]/.test(message.headers['Wechatpay-Signature']) && !message.headers['Wechatpay-Signature'].includes('SIGNTEST') && verifies(message), false, variant);
    }
});
