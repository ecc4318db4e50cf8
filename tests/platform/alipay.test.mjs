// Alipay, spoken to by its own SDK.

import assert from 'node:assert/strict';
import { File } from 'node:buffer';
import test from 'node:test';

import { unzipSync } from 'fflate';
import iconv from 'iconv-lite';

import { receiver, running } from './test_support.mjs';

// The SDK looks for File where Node 18 does not keep it yet.
globalThis.File ??= File;
const { AlipaySdk } = await import('alipay-sdk');

// The SDK writes its timestamps in the machine's zone.
process.env.TZ = 'Asia/Shanghai';

function client(platform, more = {}) {
    return new AlipaySdk({
        appId: platform.keys.ids.alipayAppId, keyType: 'PKCS8', privateKey: bare(platform.read('alipay/app_private_key.pem')),
        alipayPublicKey: bare(platform.read('alipay/alipay_public_key.pem')), gateway: `${platform.baseUrl}/gateway.do`, ...more,
    });
}

const bare = (pem) => pem.replace(/-----[^-]+-----|\s/g, '');

function withCertificates(platform) {
    const read = (name) => platform.read(`alipay/${name}`);
    return client(platform, {
        alipayPublicKey: undefined, appCertContent: read('app_certificate.pem'), alipayPublicCertContent: read('alipay_certificate.pem'),
        alipayRootCertContent: read('root_certificate.pem'),
    });
}

const trade = (more = {}) => ({ out_trade_no: 'T1', total_amount: '128.50', subject: '月子 护理+100%', ...more });

test('a code is scanned, paid, told of and refunded', async (t) => {
    const platform = await running(t);
    const { got, url } = await receiver(t, () => ({ status: 200, body: 'success' }));
    const alipay = client(platform);
    const call = (method, bizContent, more = {}) => alipay.exec(method, { bizContent, ...more }, { validateSign: true });
    const made = await call('alipay.trade.precreate', trade(), { notifyUrl: url });
    assert.match(made.qrCode, /^https:\/\/qr.alipay.com\//);
    assert.equal((await call('alipay.trade.query', { out_trade_no: 'T1' })).subCode, 'ACQ.TRADE_NOT_EXIST');
    await platform.sim('scan', { order_no: 'T1' });
    assert.equal((await call('alipay.trade.query', { out_trade_no: 'T1' })).tradeStatus, 'WAIT_BUYER_PAY');
    assert.equal((await platform.sim('pay', { channel: 'alipay', order_no: 'T1' })).paid, true);
    await platform.get('quiet');
    assert.equal(got.length, 1);
    assert.ok(alipay.checkNotifySignV2(Object.fromEntries(new URLSearchParams(got[0].body))));
    const paid = await call('alipay.trade.query', { out_trade_no: 'T1' });
    assert.deepEqual([paid.tradeStatus, paid.totalAmount], ['TRADE_SUCCESS', '128.50']);
    const refund = { out_trade_no: 'T1', refund_amount: '28.50', out_request_no: 'R1' };
    assert.equal((await call('alipay.trade.refund', refund)).fundChange, 'Y');
    assert.equal((await call('alipay.trade.refund', refund)).fundChange, 'N');
    assert.equal((await call('alipay.trade.fastpay.refund.query', { out_trade_no: 'T1', out_request_no: 'R1' })).refundStatus, 'REFUND_SUCCESS');
    assert.equal((await call('alipay.trade.close', { out_trade_no: 'T1' })).subCode, 'ACQ.REASON_TRADE_STATUS_INVALID');
    const { orders, refunds } = await platform.facts();
    assert.deepEqual([orders[0].charges, orders[0].refunded_fen, refunds[0].moves], [1, 2850, 1]);
});

test('what the gateway refuses', async (t) => {
    const platform = await running(t);
    const alipay = client(platform);
    const sub = async (method, bizContent, more = {}) => (await alipay.exec(method, { bizContent, ...more }, { validateSign: true })).subCode;
    await sub('alipay.trade.precreate', trade());
    assert.equal(await sub('alipay.trade.precreate', trade({ total_amount: '128.51' })), 'ACQ.CONTEXT_INCONSISTENT');
    for (const more of [{ total_amount: '1.5' }, { total_amount: 1 }, { total_amount: '0.00' }, { subject: 'a/b' }, { out_trade_no: 'a-b' }, { colour: 'red' }, { body: null }, { timeout_express: '1.5h' }]) {
        assert.equal(await sub('alipay.trade.precreate', trade({ out_trade_no: 'T2', ...more })), 'ACQ.INVALID_PARAMETER', JSON.stringify(more));
    }
    assert.equal(await sub('alipay.trade.precreate', trade(), { notifyUrl: 'http://127.0.0.1/n?a=1' }), 'isv.invalid-parameter');
    assert.equal(await sub('alipay.fund.trans.uni.transfer', {}), 'isv.insufficient-isv-permissions');
    const other = client(platform, { privateKey: bare(platform.read('wechat/merchant_key.pem')) });
    assert.equal((await other.exec('alipay.trade.query', { bizContent: { out_trade_no: 'T1' } })).subCode, 'isv.invalid-signature');
    await platform.sim('clock', { now_ms: Date.now() + 400_000 });
    assert.equal(await sub('alipay.trade.query', { out_trade_no: 'T1' }), 'isv.invalid-timestamp');
});

test('a transfer is made once, with certificates', async (t) => {
    const platform = await running(t);
    const alipay = withCertificates(platform);
    const transfer = (more = {}) => ({
        out_biz_no: 'P1', trans_amount: '3000.00', product_code: 'TRANS_ACCOUNT_NO_PWD', biz_scene: 'DIRECT_TRANSFER', order_title: '三月',
        payee_info: { identity: 'wang@example.com', identity_type: 'ALIPAY_LOGON_ID', name: '王芳' }, ...more,
    });
    const call = (method, bizContent) => alipay.exec(method, { bizContent }, { validateSign: true });
    const made = await call('alipay.fund.trans.uni.transfer', transfer());
    assert.equal(made.status, 'SUCCESS', JSON.stringify(made));
    assert.equal((await call('alipay.fund.trans.uni.transfer', transfer())).orderId, made.orderId);
    assert.equal((await call('alipay.fund.trans.uni.transfer', transfer({ trans_amount: '3000.01' }))).subCode, 'PAYMENT_INFO_INCONSISTENCY');
    const found = await call('alipay.fund.trans.common.query', { out_biz_no: 'P1', product_code: 'TRANS_ACCOUNT_NO_PWD', biz_scene: 'DIRECT_TRANSFER' });
    assert.equal(found.status, 'SUCCESS');
    const { transfers } = await platform.facts();
    assert.deepEqual(transfers.map(({ moves }) => moves), [1]);
});

test('the bill of a day holds what was paid on it', async (t) => {
    const platform = await running(t);
    const alipay = client(platform);
    const now = Date.now();
    const day = (ms) => new Date(ms + 8 * 3_600_000).toISOString().slice(0, 10);
    await alipay.exec('alipay.trade.precreate', { bizContent: trade() });
    // Paid three days ago by the platform's clock: the SDK signs with the machine's.
    await platform.sim('clock', { now_ms: now - 3 * 86_400_000 });
    await platform.sim('pay', { channel: 'alipay', order_no: 'T1' });
    await platform.sim('clock', { now_ms: null });
    const ask = (bill_date) => alipay.exec('alipay.data.dataservice.bill.downloadurl.query', { bizContent: { bill_type: 'trade', bill_date } });
    assert.equal((await ask(day(now))).subCode, 'isp.bill_not_exist');
    const { billDownloadUrl } = await ask(day(now - 3 * 86_400_000));
    const files = unzipSync(new Uint8Array(await (await fetch(billDownloadUrl)).arrayBuffer()));
    assert.match(iconv.decode(Buffer.from(Object.keys(files)[0], 'latin1'), 'gbk'), /_业务明细\.csv$/);
    const [details] = Object.values(files).map((file) => iconv.decode(Buffer.from(file), 'gbk'));
    assert.match(details, /^支付宝交易号,商户订单号/m);
    assert.match(details, /\tT1\t|,T1\t/);
    assert.match(details, /#交易合计：1笔，商家实收共128.50元/);
});
