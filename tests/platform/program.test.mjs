// The program as a developer and the Rust tests start it, and the published examples that the package behind it must agree with.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import wechatpay from 'wechatpay-axios-plugin';

const { Aes, Formatter, Rsa } = wechatpay;

const here = path.dirname(fileURLToPath(import.meta.url));
const fixture = (name) => fs.readFileSync(path.join(here, '../fixtures/wechat_pay', name), 'utf8');

test('the program says where it listens, keeps its keys to itself and ends with its starter', async (t) => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'platform-'));
    t.after(() => fs.rmSync(directory, { recursive: true }));
    const serials = [];
    for (let start = 0; start < 2; start += 1) {
        const child = spawn(process.execPath, [path.join(here, 'main.mjs'), '--dir', directory, '--until-stdin-closes'], { stdio: ['pipe', 'pipe', 'inherit'] });
        const [line] = await once(child.stdout, 'data');
        const baseUrl = /^listening on (http:\/\/127\.0\.0\.1:\d+)\n$/.exec(line)[1];
        const config = fs.readFileSync(path.join(directory, 'canshi.toml'), 'utf8');
        assert.ok(config.includes(`wechatpay_base_url = "${baseUrl}"`));
        serials.push(/wechatpay_certificate_serial = "(\w+)"/.exec(config)[1]);
        child.stdin.end();
        const [code] = await once(child, 'exit');
        assert.equal(code, 0);
    }
    assert.equal(serials[0], serials[1]);
    for (const name of ['wechat/merchant_key.pem', 'wechat/api_v3_key', 'alipay/app_private_key.pem', 'unionpay/merchant_key.pem']) {
        assert.equal(fs.statSync(path.join(directory, name)).mode & 0o777, 0o600, name);
    }
});

test('the published examples of WeChat Pay', () => {
    const launch = Formatter.joinedByLineFeed(
        'wx2421b1c4370ec43b', '1554208460', '593BEC0C930BF1AFEB40B4A08C8FB242', 'prepay_id=wx201410272009395522657a690389285100',
    );
    const signature = Rsa.sign(launch, fixture('documented_merchant_key.pem'));
    assert.match(signature, /^mI35pfNEQV6777ke.*oepHFaxw==$/);
    // The SDK's own tests have a key of 16 bytes, which is none for AES-256.
    const { resource } = JSON.parse(fixture('sdk_notice.json'));
    assert.throws(() => Aes.AesGcm.decrypt(resource.ciphertext, 'testMchAPIv3Key0', resource.nonce, resource.associated_data));
});
