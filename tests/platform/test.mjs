// Tests of the simulator itself: what it accepts, what it refuses, and that the official clients agree with it.

import assert from 'node:assert/strict';
import { File } from 'node:buffer';
import { createHash, createPrivateKey, publicEncrypt, constants, sign, verify, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { createServer } from 'node:http';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { gunzipSync, inflateSync } from 'node:zlib';

import { unzipSync } from 'fflate';
import iconv from 'iconv-lite';
import wechatpay from 'wechatpay-axios-plugin';

import * as china from './china_time.mjs';
import { fen, yuan } from './money.mjs';
import { start } from './start.mjs';

// The official client takes the machine's time for China's, and needs a File that Node 18 keeps elsewhere.
process.env.TZ = 'Asia/Shanghai';
globalThis.File ??= File;
const { AlipaySdk } = await import('alipay-sdk');
const { Aes, Formatter, Rsa, Wechatpay } = wechatpay;

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'canshi-platform-'));
const read = (name) => fs.readFileSync(path.join(directory, name), 'utf8');
let platform;
let ids;
let receiver;
// What the receiver of notifications got, and what it answers.
let received = [];
let reply;

before(async () => {
    platform = await start({ directory });
    ids = platform.keys.ids;
    receiver = createServer(async (request, response) => {
        const chunks = [];
        for await (const chunk of request) chunks.push(chunk);
        const text = Buffer.concat(chunks).toString();
        received.push({ url: request.url, headers: request.headers, text });
        const { status, body } = reply();
        response.writeHead(status).end(body);
    }).listen(0, '127.0.0.1');
    await once(receiver, 'listening');
});

after(() => {
    platform.stop();
    receiver.closeAllConnections();
    receiver.close();
    fs.rmSync(directory, { recursive: true });
});

beforeEach(async () => {
    received = [];
    reply = () => ({ status: 200, body: 'success' });
    await sim('reset');
});

// ---- talking to the simulator

async function sim(call, body) {
    const options = body === undefined && !['reset', 'faults/clear'].includes(call) ? {} : { method: 'POST', body: JSON.stringify(body ?? {}) };
    const answer = await fetch(`${platform.baseUrl}/_sim/${call}`, options);
    return answer.json();
}

const notifyUrl = (name = 'notify') => `http://127.0.0.1:${receiver.address().port}/${name}`;

// A raw request of the merchant to WeChat, of which a test may change any part.
async function wechat(method, target, value, { body = value === undefined ? '' : JSON.stringify(value), ...change } = {}) {
    const timestamp = change.timestamp ?? String(Math.floor(Date.now() / 1000));
    const nonce = change.nonce ?? Formatter.nonce(32);
    const signature = Rsa.sign(Formatter.request(method, target, timestamp, nonce, body), createPrivateKey(read('wechat/merchant_key.pem')));
    const serial = change.serial ?? platform.keys.wechat.merchantSerial;
    const authorization = Formatter.authorization(change.mchid ?? ids.mchid, nonce, change.signature ?? signature, timestamp, serial);
    const headers = { accept: 'application/json', 'user-agent': 'test', authorization, ...(body && { 'content-type': 'application/json' }), ...change.headers };
    const answer = await fetch(platform.baseUrl + target, { method, headers, body: change.sent ?? (body || undefined) });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text, body: text.startsWith('{') ? JSON.parse(text) : null };
}

const native = (more = {}) => ({
    appid: ids.appid, mchid: ids.mchid, description: '月子套餐定金', out_trade_no: 'P202603020001', notify_url: notifyUrl(),
    amount: { total: 1288800, currency: 'CNY' }, ...more,
});
const createNative = (more) => wechat('POST', '/v3/pay/transactions/native', native(more));
const queryNative = (no = 'P202603020001') => wechat('GET', `/v3/pay/transactions/out-trade-no/${no}?mchid=${ids.mchid}`);

function alipayClient(more = {}) {
    return new AlipaySdk({
        appId: ids.alipayAppId, privateKey: read('alipay/app_private_key.pem'), keyType: 'PKCS8', camelcase: false,
        gateway: `${platform.baseUrl}/gateway.do`, ...more,
    });
}
const byKeys = () => alipayClient({ alipayPublicKey: read('alipay/alipay_public_key.pem') });
const byCertificates = () => alipayClient({
    appCertContent: read('alipay/app_certificate.pem'), alipayPublicCertContent: read('alipay/alipay_certificate.pem'),
    alipayRootCertContent: read('alipay/root_certificate.pem'),
});
const ask = (client, method, bizContent, more = {}) => client.exec(method, { bizContent, ...more }, { validateSign: true });
const precreate = (client, more = {}) => ask(client, 'alipay.trade.precreate', {
    out_trade_no: 'P202603020001', total_amount: '12888.00', subject: '月子套餐 定金+尾款 100%', timeout_express: '30m', ...more,
}, { notifyUrl: notifyUrl() });

// A UnionPay request, signed by code that shares nothing with the simulator's.
async function unionpay(target, values, change = {}) {
    const certificate = new X509Certificate(read('unionpay/merchant_certificate.pem'));
    const all = {
        version: '5.1.0', encoding: 'UTF-8', certId: BigInt(`0x${certificate.serialNumber}`).toString(), signMethod: '01', bizType: '000000',
        accessType: '0', merId: ids.unionpayMerchantId, txnTime: china.compact(Date.now()), ...values,
    };
    const signature = change.signature ?? sign('sha256', Buffer.from(doubleDigest(all)), read('unionpay/merchant_key.pem')).toString('base64');
    const answer = await fetch(platform.baseUrl + target, { method: 'POST', body: new URLSearchParams({ ...all, ...change.sent, signature }) });
    const text = await answer.text();
    const given = Object.fromEntries(text.split('&').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
    return { ...given, asked: all };
}

function doubleDigest(values) {
    const text = Object.keys(values).filter((name) => name !== 'signature' && values[name] !== '').sort().map((name) => `${name}=${values[name]}`).join('&');
    return createHash('sha256').update(text).digest('hex');
}

function isUnionpays({ asked: _asked, ...values }) {
    const certificate = new X509Certificate(values.signPubKeyCert);
    const [middle, root] = ['middle', 'root'].map((name) => new X509Certificate(read(`unionpay/${name}_certificate.pem`)));
    const chained = certificate.verify(middle.publicKey) && middle.verify(root.publicKey) && certificate.subject.includes('中国银联股份有限公司');
    return chained && verify('sha256', Buffer.from(doubleDigest(values)), certificate.publicKey, Buffer.from(values.signature, 'base64'));
}

const qr = (more = {}) => unionpay('/gateway/api/backTransReq.do', {
    txnType: '01', txnSubType: '07', channelType: '08', orderId: 'P202603020001', txnAmt: '1288800', currencyCode: '156', backUrl: notifyUrl(), ...more,
});
const queryQr = (txnTime, orderId = 'P202603020001') => unionpay('/gateway/api/queryTrans.do', { txnType: '00', txnSubType: '00', orderId, txnTime });

function isWechats({ headers, text }) {
    const get = (name) => (headers.get ? headers.get(name) : headers[name.toLowerCase()]);
    const keys = { [platform.keys.wechat.publicKeyId]: read('wechat/public_key.pem') };
    for (const name of ['platform_certificate', 'next_platform_certificate']) {
        const pem = read(`wechat/${name}.pem`);
        keys[new X509Certificate(pem).serialNumber] = pem;
    }
    const message = Formatter.response(get('Wechatpay-Timestamp'), get('Wechatpay-Nonce'), text);
    const key = keys[get('Wechatpay-Serial')];
    return Boolean(key) && Rsa.verify(message, get('Wechatpay-Signature') ?? '', Rsa.from(key, Rsa.KEY_TYPE_PUBLIC));
}

const raw = (more) => sim('deliver', { raw: true, ...more });
const lower = (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

// ---- WeChat Pay

test('the independent client of WeChat Pay creates and queries', async () => {
    const client = new Wechatpay({
        mchid: ids.mchid, serial: platform.keys.wechat.merchantSerial, privateKey: read('wechat/merchant_key.pem'),
        certs: { [platform.keys.wechat.publicKeyId]: read('wechat/public_key.pem') }, baseURL: platform.baseUrl,
    });
    const created = await client.v3.pay.transactions.native.post(native());
    assert.match(created.data.code_url, /^weixin:\/\/wxpay\/bizpayurl\?pr=/);
    const asked = { params: { mchid: ids.mchid }, out_trade_no: 'P202603020001' };
    const found = await client.v3.pay.transactions.outTradeNo.$out_trade_no$.get(asked);
    assert.equal(found.data.trade_state, 'NOTPAY');
    assert.deepEqual(await sim('refusals'), []);
});

test('an order of WeChat Pay is paid once, told of, and refunded in parts', async () => {
    await createNative();
    assert.deepEqual(await sim('pay', { channel: 'wechat', order_no: 'P202603020001' }), { paid: true });
    assert.equal((await sim('pay', { channel: 'wechat', order_no: 'P202603020001' })).why, 'paid');
    await sim('quiet');
    const [notice] = received;
    assert.ok(isWechats(notice));
    const { resource } = JSON.parse(notice.text);
    const told = JSON.parse(Aes.AesGcm.decrypt(resource.ciphertext, read('wechat/api_v3_key'), resource.nonce, resource.associated_data));
    assert.equal(told.amount.total, 1288800);
    const found = (await queryNative()).body;
    assert.deepEqual(told, found);
    const refund = (no, fen) => wechat('POST', '/v3/refund/domestic/refunds', {
        out_trade_no: 'P202603020001', out_refund_no: no, notify_url: notifyUrl(), amount: { refund: fen, total: 1288800, currency: 'CNY' },
    });
    assert.equal((await refund('R1', 100)).body.status, 'PROCESSING');
    assert.equal((await refund('R2', 100)).status, 429);
    await sim('clock', { now_ms: Date.now() + 61_000 });
    const later = { timestamp: String(Math.floor(Date.now() / 1000) + 61) };
    const again = await wechat('POST', '/v3/refund/domestic/refunds', {
        out_trade_no: 'P202603020001', out_refund_no: 'R2', amount: { refund: 1288800, total: 1288800, currency: 'CNY' },
    }, later);
    assert.equal(again.status, 400);
    const one = await wechat('GET', '/v3/refund/domestic/refunds/R1', undefined, later);
    assert.equal(one.body.status, 'SUCCESS');
    assert.equal(JSON.parse(received[1].text).event_type, 'REFUND.SUCCESS');
    const { orders: [order] } = await sim('facts');
    assert.deepEqual([order.state, order.charges, order.charged_fen, order.refunded_fen], ['REFUND', 1, 1288800, 100]);
});

test('WeChat Pay refuses what is not signed as it must be', async () => {
    const target = `/v3/pay/transactions/out-trade-no/P202603020001?mchid=${ids.mchid}`;
    const old = String(Math.floor(Date.now() / 1000) - 301);
    const bad = [
        { signature: Buffer.alloc(256).toString('base64') }, { timestamp: old }, { serial: platform.keys.wechat.signers.certificate.serial },
        { mchid: '1900000110' }, { nonce: 'a-b_c' }, { headers: { authorization: '' } }, { timestamp: String(Math.floor(Date.now() / 1000) + 330) },
    ];
    for (const change of bad) {
        const answer = await wechat('GET', target, undefined, change);
        assert.equal(answer.status, 401, JSON.stringify(change));
        assert.equal(answer.body.code, 'SIGN_ERROR');
        assert.ok(isWechats(answer));
    }
    const body = JSON.stringify(native());
    assert.equal((await wechat('POST', '/v3/pay/transactions/native', native(), { sent: `${body} ` })).status, 401);
    const refusals = await sim('refusals');
    assert.equal(refusals.length, bad.length + 1);
    assert.ok(refusals.every(({ kind }) => kind === 'protocol'));
});

test('WeChat Pay refuses fields that it does not know, and values that it does not take', async () => {
    const wrong = [
        { colour: 'red' }, { attach: null }, { attach: '' }, { description: 'x'.repeat(128) }, { out_trade_no: 'P.1234567' }, { out_trade_no: 'P1' },
        { notify_url: `${notifyUrl()}?a=1` }, { notify_url: 'pay' }, { amount: { total: 0 } }, { amount: { total: 1.5 } }, { amount: { total: '1' } },
        { amount: { total: 1, currency: 'USD' } }, { amount: { total: 1, tax: 1 } }, { time_expire: '2026-03-02 12:00:00' }, { payer: { openid: 'o' } },
        { mchid: '1900000110' }, { appid: 'wx9999999999999999' },
    ];
    for (const more of wrong) assert.equal((await createNative(more)).status, 400, JSON.stringify(more));
    const float = JSON.stringify(native()).replace('1288800', '1288800.0');
    assert.equal((await wechat('POST', '/v3/pay/transactions/native', undefined, { body: float })).body.code, 'PARAM_ERROR');
    assert.deepEqual((await sim('facts')).orders, []);
});

test('a repeat of a WeChat order gives a fresh code, a changed one is refused, and a closed one stays closed', async () => {
    const first = await createNative();
    const second = await createNative();
    assert.notEqual(first.body.code_url, second.body.code_url);
    const changed = await createNative({ amount: { total: 1, currency: 'CNY' } });
    assert.equal(changed.body.code, 'INVALID_REQUEST');
    assert.match(changed.headers.get('request-id'), /-268498688$/);
    const close = () => wechat('POST', '/v3/pay/transactions/out-trade-no/P202603020001/close', { mchid: ids.mchid });
    const closed = await close();
    assert.equal(closed.status, 204);
    assert.ok(isWechats(closed));
    assert.equal((await close()).status, 204);
    assert.equal((await createNative()).body.code, 'ORDER_CLOSED');
    assert.equal((await sim('pay', { channel: 'wechat', order_no: 'P202603020001' })).why, 'closed');
    assert.equal((await queryNative('P202603029999')).body.code, 'ORDER_NOT_EXIST');
});

test('a transfer of WeChat waits for its user, once, and needs an encrypted name above 2,000 yuan', async () => {
    const secret = (text) => publicEncrypt({ key: read('wechat/public_key.pem'), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' }, Buffer.from(text)).toString('base64');
    const bill = (more = {}) => ({
        appid: ids.appid, out_bill_no: 'S202603020001', transfer_scene_id: '1005', openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o', transfer_amount: 250_000,
        transfer_remark: '三月报酬', user_name: secret('王芳'), notify_url: notifyUrl(), transfer_scene_report_infos: [
            { info_type: '岗位类型', info_content: '月子护理师' }, { info_type: '报酬说明', info_content: '护理服务报酬' },
        ], ...more,
    });
    const target = '/v3/fund-app/mch-transfer/transfer-bills';
    const headers = { 'wechatpay-serial': platform.keys.wechat.publicKeyId };
    const send = (more, change = { headers }) => wechat('POST', target, bill(more), change);
    const wrong = [
        { out_bill_no: 'S-1' }, { user_name: undefined }, { user_name: 'AAAA' }, { transfer_amount: 9 }, { transfer_amount: 20 }, { transfer_scene_id: '1009' },
        { transfer_scene_report_infos: [] }, { user_recv_perception: '报酬' }, { openid: '' }, { transfer_remark: 'x'.repeat(33) },
    ];
    for (const more of wrong) assert.notEqual((await send(more)).status, 200, JSON.stringify(more));
    assert.equal((await send({}, {})).status, 400, 'an encrypted field needs Wechatpay-Serial');
    const first = await send();
    assert.equal(first.body.state, 'WAIT_USER_CONFIRM');
    assert.equal((await send()).body.package_info, first.body.package_info, 'a name encrypted anew is the same name');
    assert.equal((await send({ user_name: secret('王芬') })).body.code, 'INVALID_REQUEST');
    assert.deepEqual(await sim('confirm', { out_bill_no: 'S202603020001' }), { confirmed: true });
    assert.equal((await wechat('GET', `${target}/out-bill-no/S202603020001`)).body.state, 'SUCCESS');
    assert.equal((await wechat('POST', `${target}/out-bill-no/S202603020001/cancel`)).status, 400);
    await send({ out_bill_no: 'S202603020002' });
    assert.equal((await wechat('POST', `${target}/out-bill-no/S202603020002/cancel`)).body.state, 'CANCELING');
    await sim('quiet');
    const { transfers } = await sim('facts');
    assert.deepEqual(transfers.map(({ state, moves }) => [state, moves]), [['SUCCESS', 1], ['CANCELLED', 0]]);
    assert.deepEqual(received.map(({ text }) => JSON.parse(text).event_type), Array(2).fill('MCHTRANSFER.BILL.FINISHED'));
});

test('every wrong notification of WeChat Pay differs from the right one, and none verifies that should not', async () => {
    await sim('notify', { mode: 'manual' });
    await createNative();
    await sim('pay', { channel: 'wechat', order_no: 'P202603020001' });
    const forms = ['stale', 'future', 'wrong_serial', 'bad_signature', 'reserialised', 'wrong_amount', 'wrong_mchid', 'wrong_appid', 'wrong_currency',
        'not_success', 'gcm_flip', 'wrong_aad', 'serial_certificate', 'probe', 'unknown_order', 'wrong_payer'];
    const plain = await raw({ order_no: 'P202603020001' });
    const forged = ['wrong_serial', 'bad_signature', 'reserialised', 'probe'];
    for (const variant of forms) {
        const { headers, body } = await raw({ order_no: 'P202603020001', variant });
        assert.notDeepEqual({ headers, body }, { headers: plain.headers, body: plain.body }, variant);
        assert.equal(isWechats({ headers: lower(headers), text: body }), !forged.includes(variant), variant);
        const open = () => {
            const { resource } = JSON.parse(body);
            return JSON.parse(Aes.AesGcm.decrypt(resource.ciphertext, read('wechat/api_v3_key'), resource.nonce, resource.associated_data));
        };
        if (['gcm_flip', 'wrong_aad'].includes(variant)) assert.throws(open, variant);
        else assert.ok(open().out_trade_no);
    }
    assert.deepEqual(await raw({ order_no: 'P202603020001', variant: 'duplicate' }), plain);
    assert.deepEqual(await sim('deliver', { order_no: 'P202603020001' }), { status: 200, body: 'success' });
    assert.equal(received.length, 1);
});

test('a notification is sent again until it is acknowledged', async () => {
    reply = () => ({ status: received.length < 3 ? 500 : 204, body: undefined });
    await createNative();
    await sim('pay', { channel: 'wechat', order_no: 'P202603020001' });
    await sim('quiet');
    assert.equal(received.length, 3);
    assert.equal(new Set(received.map(({ text }) => text)).size, 1);
    assert.equal(new Set(received.map(({ headers }) => headers['wechatpay-nonce'])).size, 3);
    assert.equal((await sim('notifications'))[0].acknowledged, true);
});

test('WeChat signs with the key that it is told to, and lists the certificates that it may use', async () => {
    assert.equal((await wechat('GET', '/v3/certificates')).status, 404);
    await sim('keys', { channel: 'wechat', mode: 'rotate' });
    const answer = await wechat('GET', '/v3/certificates');
    assert.ok(isWechats(answer));
    const listed = answer.body.data.map(({ serial_no, encrypt_certificate: { ciphertext, nonce, associated_data } }) => {
        const pem = Aes.AesGcm.decrypt(ciphertext, read('wechat/api_v3_key'), nonce, associated_data);
        assert.equal(new X509Certificate(pem).serialNumber, serial_no);
        return serial_no;
    });
    assert.equal(listed.length, 2);
    assert.equal(answer.headers.get('wechatpay-serial'), listed[1]);
});

test('the bill of WeChat is read by an independent parser, and its hash fits', async () => {
    await sim('notify', { mode: 'manual' });
    await createNative();
    await sim('pay', { channel: 'wechat', order_no: 'P202603020001' });
    const date = china.day(Date.now());
    const tomorrow = china.fromDay(date) + 34 * 3_600_000 + 1;
    await sim('clock', { now_ms: tomorrow });
    const change = { timestamp: String(Math.floor(tomorrow / 1000)) };
    const get = (more = '') => wechat('GET', `/v3/bill/tradebill?bill_date=${date}&bill_type=ALL${more}`, undefined, change);
    const fetchFile = async ({ body }) => {
        const url = new URL(body.download_url);
        const timestamp = change.timestamp;
        const nonce = Formatter.nonce(32);
        const signature = Rsa.sign(Formatter.request('GET', url.pathname + url.search, timestamp, nonce), createPrivateKey(read('wechat/merchant_key.pem')));
        const authorization = Formatter.authorization(ids.mchid, nonce, signature, timestamp, platform.keys.wechat.merchantSerial);
        const answer = await fetch(url, { headers: { authorization, accept: '*/*', 'user-agent': 'test' } });
        assert.equal(answer.headers.get('wechatpay-signature'), null);
        return Buffer.from(await answer.arrayBuffer());
    };
    const sha1 = (bytes) => createHash('sha1').update(bytes).digest('hex');
    const offer = await get();
    const file = await fetchFile(offer);
    assert.equal(sha1(file), offer.body.hash_value);
    const zipped = await get('&tar_type=GZIP');
    assert.equal(sha1(gunzipSync(await fetchFile(zipped))), zipped.body.hash_value);
    const { rows, summary } = Formatter.castCsvBill(file);
    assert.equal(rows.length, 1);
    assert.equal(rows[0]['商户订单号'], 'P202603020001');
    assert.equal(rows[0]['订单金额'], '12888.00');
    assert.equal(rows[0]['手续费'], '77.32800');
    assert.equal(summary['应结订单总金额'], '12888.00');
    const tamper = (how) => sim('bill', { channel: 'wechat', date, tamper: how });
    await tamper('bad_hash');
    const wrong = await get();
    assert.notEqual(sha1(await fetchFile(wrong)), wrong.body.hash_value);
    await tamper('amount');
    assert.equal(Formatter.castCsvBill(await fetchFile(await get())).rows[0]['订单金额'], '12888.01');
    await tamper('extra_row');
    assert.equal(Formatter.castCsvBill(await fetchFile(await get())).rows.length, 2);
    for (const [how, code] of [['missing_row', 'NO_STATEMENT_EXIST'], ['empty', 'NO_STATEMENT_EXIST'], ['not_ready', 'STATEMENT_CREATING']]) {
        await tamper(how);
        assert.equal((await get()).body.code, code);
    }
});

// The key pair of WeChat's pages on signing is in no package, so its vectors are checked where canshi signs.

test('the launch parameters of a mini-program are four lines, the last with its prefix', () => {
    const prepay = 'prepay_id=wx201410272009395522657a690389285100';
    const text = Formatter.joinedByLineFeed('wx2421b1c4370ec43b', '1554208460', '593BEC0C930BF1AFEB40B4A08C8FB242', prepay);
    assert.equal(text, `wx2421b1c4370ec43b\n1554208460\n593BEC0C930BF1AFEB40B4A08C8FB242\n${prepay}\n`);
});

// ---- Alipay

test('the official client of Alipay creates, queries and verifies, with keys and with certificates', async () => {
    for (const [index, client] of [byKeys(), byCertificates()].entries()) {
        const out_trade_no = `P20260302000${index}`;
        const created = await precreate(client, { out_trade_no });
        assert.equal(created.code, '10000', JSON.stringify(created));
        assert.match(created.qr_code, /^https:\/\/qr\.alipay\.com\//);
        assert.equal((await ask(client, 'alipay.trade.query', { out_trade_no })).sub_code, 'ACQ.TRADE_NOT_EXIST');
        await sim('scan', { order_no: out_trade_no });
        assert.equal((await ask(client, 'alipay.trade.query', { out_trade_no })).trade_status, 'WAIT_BUYER_PAY');
    }
    assert.ok((await sim('refusals')).every(({ kind }) => kind === 'business'));
});

test('the official client accepts our notification of Alipay, and none that is forged', async () => {
    await sim('notify', { mode: 'manual' });
    const client = byKeys();
    await precreate(client);
    await sim('pay', { channel: 'alipay', order_no: 'P202603020001' });
    const values = async (variant) => Object.fromEntries(new URLSearchParams((await raw({ order_no: 'P202603020001', variant })).body));
    const plain = await values('plain');
    assert.equal(plain.total_amount, '12888.00');
    assert.ok(client.checkNotifySignV2(plain));
    for (const variant of ['wrong_amount', 'wrong_mchid', 'wrong_appid', 'not_success', 'unknown_order', 'bad_signature', 'reserialised']) {
        const told = await values(variant);
        assert.notDeepEqual(told, plain, variant);
        assert.equal(client.checkNotifySignV2(told), !['bad_signature', 'reserialised'].includes(variant), variant);
    }
});

test('Alipay refuses what is wrong', async () => {
    const client = byKeys();
    const wrong = [
        { total_amount: '12888.0' }, { total_amount: '0.00' }, { total_amount: 12888 }, { subject: 'a=b' }, { out_trade_no: 'P-1' }, { colour: 'red' },
        { body: null }, { timeout_express: '1.5h' }, { product_code: 'QUICK_MSECURITY_PAY' },
    ];
    for (const more of wrong) assert.equal((await precreate(client, more)).code, '40002', JSON.stringify(more));
    const foreign = new AlipaySdk({ ...alipayClient().config, privateKey: read('unionpay/merchant_key.pem'), keyType: 'PKCS8', alipayPublicKey: read('alipay/alipay_public_key.pem') });
    assert.equal((await precreate(foreign)).sub_code, 'isv.invalid-signature');
    await sim('clock', { now_ms: Date.now() - 301_000 });
    assert.equal((await precreate(client)).sub_code, 'isv.invalid-timestamp');
    assert.deepEqual((await sim('facts')).orders, []);
});

test('an Alipay trade is closed before it is paid, cancelled with its money, and refunded once per number', async () => {
    const client = byKeys();
    await precreate(client);
    assert.equal((await precreate(client, { total_amount: '1.00' })).sub_code, 'ACQ.CONTEXT_INCONSISTENT');
    assert.equal((await ask(client, 'alipay.trade.close', { out_trade_no: 'P202603020001' })).sub_code, 'ACQ.TRADE_NOT_EXIST');
    assert.deepEqual(await sim('pay', { channel: 'alipay', order_no: 'P202603020001' }), { paid: true });
    assert.equal((await precreate(client)).sub_code, 'ACQ.TRADE_HAS_SUCCESS');
    const refund = (more) => ask(client, 'alipay.trade.refund', { out_trade_no: 'P202603020001', refund_amount: '88.00', out_request_no: 'R1', ...more });
    assert.equal((await refund()).fund_change, 'Y');
    assert.equal((await refund()).fund_change, 'N');
    assert.equal((await refund({ refund_amount: '89.00' })).sub_code, 'ACQ.CONTEXT_INCONSISTENT');
    assert.equal((await refund({ out_request_no: 'R2' })).code, '20000');
    const found = await ask(client, 'alipay.trade.fastpay.refund.query', { out_trade_no: 'P202603020001', out_request_no: 'R1' });
    assert.equal(found.refund_status, 'REFUND_SUCCESS');
    assert.equal((await ask(client, 'alipay.trade.cancel', { out_trade_no: 'P202603020001' })).action, 'refund');
    assert.equal((await ask(client, 'alipay.trade.query', { out_trade_no: 'P202603020001' })).trade_status, 'TRADE_CLOSED');
    const { orders: [order] } = await sim('facts');
    assert.deepEqual([order.charged_fen, order.refunded_fen], [1288800, 1288800]);
});

test('a transfer of Alipay needs certificates, is made once, and can bounce', async () => {
    const asked = {
        out_biz_no: 'S202603020001', trans_amount: '6500.00', product_code: 'TRANS_ACCOUNT_NO_PWD', biz_scene: 'DIRECT_TRANSFER', order_title: '三月工资',
        payee_info: { identity: 'wang@example.com', identity_type: 'ALIPAY_LOGON_ID', name: '王芳' },
    };
    const send = (client, more = {}) => ask(client, 'alipay.fund.trans.uni.transfer', { ...asked, ...more });
    const query = () => ask(byCertificates(), 'alipay.fund.trans.common.query', {
        out_biz_no: 'S202603020001', product_code: 'TRANS_ACCOUNT_NO_PWD', biz_scene: 'DIRECT_TRANSFER',
    });
    assert.equal((await send(byKeys())).code, '40006');
    assert.equal((await query()).sub_code, 'ORDER_NOT_EXIST');
    await sim('settlement', { mode: 'manual' });
    assert.equal((await send(byCertificates())).status, 'DEALING');
    assert.equal((await send(byCertificates(), { trans_amount: '6500.01' })).sub_code, 'PAYMENT_INFO_INCONSISTENCY');
    await sim('settle', { channel: 'alipay', kind: 'transfer', no: 'S202603020001', state: 'SUCCESS' });
    assert.equal((await send(byCertificates())).status, 'SUCCESS');
    await sim('settle', { channel: 'alipay', kind: 'transfer', no: 'S202603020001', state: 'REFUND' });
    assert.equal((await query()).status, 'REFUND');
    const { transfers: [transfer] } = await sim('facts');
    assert.deepEqual([transfer.moves, transfer.moved_fen], [1, 0]);
});

test('the bill of Alipay is a ZIP of GBK files, names included', async () => {
    const client = byKeys();
    const real = Date.now;
    await precreate(client);
    await sim('pay', { channel: 'alipay', order_no: 'P202603020001' });
    const date = china.day(Date.now());
    const link = () => ask(client, 'alipay.data.dataservice.bill.downloadurl.query', { bill_type: 'trade', bill_date: date });
    assert.equal((await link()).sub_code, 'isp.bill_not_exist');
    const tomorrow = china.fromDay(date) + 33 * 3_600_000 + 1;
    await sim('clock', { now_ms: tomorrow });
    // The client stamps its requests with the machine's time.
    Date.now = () => tomorrow;
    const RealDate = Date;
    globalThis.Date = class extends RealDate {
        constructor(...given) {
            super(...(given.length ? given : [tomorrow]));
        }
    };
    try {
        const { bill_download_url } = await link();
        const zip = Buffer.from(await (await fetch(bill_download_url)).arrayBuffer());
        const files = unzipSync(zip);
        // Without a flag the names are bytes, which fflate shows as Latin letters.
        const names = Object.keys(files).map((name) => iconv.decode(Buffer.from(name, 'latin1'), 'gbk'));
        assert.ok(names[0].endsWith('_业务明细.csv') && names[1].endsWith('_业务明细(汇总).csv'), names.join());
        const details = iconv.decode(Buffer.from(Object.values(files)[0]), 'gbk');
        assert.match(details, /^#支付宝业务明细查询\r\n/);
        assert.match(details, /\tP202603020001\t|,P202603020001\t,交易\t/);
        assert.match(details, /#交易合计：1笔，商家实收共12888.00元/);
    } finally {
        globalThis.Date = RealDate;
        Date.now = real;
    }
});

// ---- UnionPay

test('the digest that UnionPay signs is taken twice', async () => {
    const answer = await qr();
    assert.equal(answer.respCode, '00');
    assert.ok(isUnionpays(answer));
    const { asked: _asked, signature, ...values } = answer;
    const text = Object.keys(values).sort().map((name) => `${name}=${values[name]}`).join('&');
    const key = new X509Certificate(values.signPubKeyCert).publicKey;
    assert.equal(verify('sha256', Buffer.from(text), key, Buffer.from(signature, 'base64')), false, 'once is not enough');
});

test('a UnionPay order is accepted, paid, told of, and refunded under numbers of its own', async () => {
    const created = await qr();
    const { txnTime } = created.asked;
    assert.match(created.qrCode, /^https:\/\/qr\.95516\.com\//);
    assert.equal((await qr()).respCode, '12');
    assert.equal((await queryQr(txnTime)).origRespCode, '05');
    assert.equal((await queryQr('20260101000000')).respCode, '34');
    assert.deepEqual(await sim('pay', { channel: 'unionpay', order_no: 'P202603020001' }), { paid: true });
    await sim('quiet');
    assert.ok(isUnionpays(Object.fromEntries(new URLSearchParams(received[0].text))));
    const found = await queryQr(txnTime);
    assert.deepEqual([found.respCode, found.origRespCode, found.txnAmt], ['00', '00', '1288800']);
    const back = (txnType, orderId, txnAmt) => unionpay('/gateway/api/backTransReq.do', {
        txnType, txnSubType: '00', channelType: '08', orderId, txnAmt, currencyCode: '156', backUrl: notifyUrl(), origQryId: found.queryId,
    });
    const refund = await back('04', 'R202603020001', '8800');
    assert.equal(refund.respCode, '00');
    await sim('quiet');
    assert.equal((await queryQr(refund.asked.txnTime, 'R202603020001')).origRespCode, '00');
    assert.equal((await back('04', 'R202603020002', '1288800')).respCode, '36');
    assert.equal((await back('31', 'V202603020001', '1288800')).respCode, '35');
    const { orders: [order] } = await sim('facts');
    assert.deepEqual([order.charges, order.charged_fen, order.refunded_fen], [1, 1288800, 8800]);
});

test('UnionPay refuses what is wrong', async () => {
    const cases = [
        [{ orderId: 'P-20260302' }, '10'], [{ txnAmt: '0' }, '10'], [{ txnAmt: '1.00' }, '10'], [{ colour: 'red' }, '10'], [{ currencyCode: '840' }, '10'],
        [{ txnTime: '20260302120000' }, '39'], [{ merId: '777290058110049' }, '31'], [{ certId: '1' }, '11'], [{ backUrl: `${notifyUrl()}?a=1` }, '10'],
    ];
    for (const [more, code] of cases) assert.equal((await qr(more)).respCode, code, JSON.stringify(more));
    const forged = await unionpay('/gateway/api/queryTrans.do', { txnType: '00', txnSubType: '00', orderId: 'P202603020001' }, { signature: 'AAAA' });
    assert.equal(forged.respCode, '11');
    assert.deepEqual((await sim('facts')).orders, []);
});

test('wrong notifications of UnionPay are told from right ones by chain and signature', async () => {
    await sim('notify', { mode: 'manual' });
    await qr();
    await sim('pay', { channel: 'unionpay', order_no: 'P202603020001' });
    for (const variant of ['plain', 'wrong_amount', 'wrong_mchid', 'wrong_currency', 'not_success', 'unknown_order', 'bad_signature', 'wrong_serial', 'reserialised']) {
        const values = Object.fromEntries(new URLSearchParams((await raw({ order_no: 'P202603020001', variant })).body));
        const genuine = () => isUnionpays(values);
        if (variant === 'reserialised') assert.throws(genuine);
        else assert.equal(genuine(), !['bad_signature', 'wrong_serial'].includes(variant), variant);
    }
});

test('the settlement file of UnionPay has fixed columns', async () => {
    await sim('notify', { mode: 'manual' });
    const { asked } = await qr();
    await sim('pay', { channel: 'unionpay', order_no: 'P202603020001' });
    const date = china.day(Date.now() + 3_600_000);
    const tomorrow = china.fromDay(date) + 33 * 3_600_000 + 1;
    await sim('clock', { now_ms: tomorrow });
    const file = await unionpay('/filedownload/', {
        txnType: '76', txnSubType: '01', fileType: '00', settleDate: date.slice(5).replace('-', ''), txnTime: china.compact(tomorrow),
    });
    assert.equal(file.respCode, '00', file.respMsg);
    const files = unzipSync(inflateSync(Buffer.from(file.fileContent, 'base64')));
    const [name] = Object.keys(files).filter((each) => each.includes('ZM_'));
    const text = iconv.decode(Buffer.from(files[name]), 'gbk');
    // The offsets are the sums of the lengths before, with a space behind each.
    assert.equal(text.slice(0, 3), 'S22');
    assert.equal(text.slice(66, 78), '000001288800');
    assert.equal(text.slice(111, 143).trim(), asked.orderId);
});

// ---- faults and facts

test('a lost answer leaves the order made; a reset leaves nothing', async () => {
    await sim('faults', { channel: 'wechat', op: 'create', fault: 'lose_answer' });
    await assert.rejects(createNative());
    assert.equal((await queryNative()).status, 200);
    await sim('faults', { channel: 'wechat', op: 'create', fault: 'reset', times: 1 });
    await assert.rejects(createNative({ out_trade_no: 'P202603020002' }));
    assert.equal((await queryNative('P202603020002')).status, 404);
    const requests = await sim('requests?no=P202603020002');
    assert.deepEqual(requests.map(({ op, fault }) => [op, fault]), [['create', 'reset'], ['query', undefined]]);
});

test('each fault does what its name says', async () => {
    const strike = async (fault, more = {}) => {
        await sim('faults', { channel: 'wechat', fault, ...more });
        return createNative();
    };
    assert.equal((await strike('status_500')).status, 500);
    assert.equal((await strike('status_502_html')).status, 502);
    assert.deepEqual((await sim('facts')).orders, []);
    assert.equal((await strike('status_500_after')).status, 500);
    assert.equal((await sim('facts')).orders.length, 1);
    for (const fault of ['bad_signature', 'no_signature', 'wrong_serial']) {
        const answer = await strike(fault);
        assert.equal(answer.status, 200);
        assert.equal(isWechats(answer), false, fault);
    }
    await assert.rejects(strike('truncated'));
    assert.equal((await strike('business:NOT_ENOUGH')).body.code, 'NOT_ENOUGH');
    assert.equal((await strike('delay', { delay_ms: 5 })).status, 200);
    assert.equal((await strike('late', { delay_ms: 5 })).status, 200);
    await sim('faults', { fault: 'status_500', skip: 1, times: null });
    assert.deepEqual([(await createNative()).status, (await createNative()).status, (await createNative()).status], [200, 500, 500]);
    await sim('faults/clear');
    await sim('down', { down: true });
    await assert.rejects(createNative());
    await sim('down', { down: false });
    assert.equal((await createNative()).status, 200);
});

test('chaos with one seed is the same each time', async () => {
    const run = async () => {
        await sim('reset');
        await sim('chaos', { seed: 7, rate: 0.5 });
        for (let count = 0; count < 20; count += 1) await createNative().catch(() => null);
        return (await sim('requests')).map(({ fault }) => fault ?? null);
    };
    const first = await run();
    assert.deepEqual(await run(), first);
    assert.ok(first.includes(null) && new Set(first).size > 4);
});

test('the merchant can run out of money', async () => {
    await createNative();
    await sim('pay', { channel: 'wechat', order_no: 'P202603020001' });
    await sim('balance', { channel: 'wechat', fen: 99 });
    const refund = () => wechat('POST', '/v3/refund/domestic/refunds', {
        out_trade_no: 'P202603020001', out_refund_no: 'R1', amount: { refund: 100, total: 1288800, currency: 'CNY' },
    });
    assert.equal((await refund()).body.code, 'NOT_ENOUGH');
    await sim('balance', { channel: 'wechat', fen: 100 });
    assert.equal((await refund()).status, 200);
    assert.equal((await sim('facts')).balances.wechat, 0);
});

test('amounts are read and written without floats', () => {
    assert.deepEqual(['0.01', '12888.00', '19.90'].map(fen), [1, 1288800, 1990]);
    assert.deepEqual(['1', '1.0', '01.00', '-1.00', '1.000', ''].map(fen), Array(6).fill(null));
    assert.deepEqual([1, 1288800, -5].map(yuan), ['0.01', '12888.00', '-0.05']);
});
