// The keys and certificates of the merchant and of the three platforms, made once and kept in files.

import { createHash, createPrivateKey, createPublicKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';

import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto);

const RSA = {
    name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]),
};
const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

// Tests set the clock to other years; a certificate that runs out is not what they are about.
const NOT_BEFORE = new Date('2020-01-01T00:00:00Z');
const NOT_AFTER = new Date('2049-12-31T00:00:00Z');

export const IDS = {
    mchid: '1900000109',
    appid: 'wx0123456789abcdef',
    alipayAppId: '2021000000000001',
    alipaySellerId: '2088000000000001',
    unionpayMerchantId: '777290058110048',
};

// Loads what is in the directory and makes what is missing. A platform's folder is there as a whole or not at all, so
// that any number of processes may share the directory.
export async function loadKeys(directory) {
    fs.mkdirSync(directory, { recursive: true });
    const makers = { wechat: makeWechat, alipay: makeAlipay, unionpay: makeUnionpay };
    await Promise.all(Object.entries(makers).map(([name, make]) => makeOnce(directory, name, make)));
    const read = (name) => fs.readFileSync(path.join(directory, name), 'utf8');
    const file = (name) => path.join(directory, name);
    return { file, wechat: readWechat(read), alipay: readAlipay(read), unionpay: readUnionpay(read) };
}

async function makeOnce(directory, name, make) {
    const target = path.join(directory, name);
    if (fs.existsSync(target)) return;
    const files = await make();
    const draft = fs.mkdtempSync(path.join(directory, `.${name}-`));
    for (const [file, content] of Object.entries(files)) {
        const mode = content.includes('PRIVATE KEY') || file === 'api_v3_key' ? 0o600 : 0o644;
        fs.writeFileSync(path.join(draft, file), content, { mode });
    }
    try {
        fs.renameSync(draft, target);
    } catch (error) {
        fs.rmSync(draft, { recursive: true });
        if (!fs.existsSync(target)) throw error;
    }
}

async function makeWechat() {
    const root = await authority('C=CN, O=Tenpay.com, OU=Tenpay.com CA Center, CN=Tenpay.com Root CA');
    const [merchant, platform, next, publicKey] = await Promise.all([newKeys(), newKeys(), newKeys(), newKeys()]);
    const platformName = 'C=CN, O=Tenpay.com, CN=Tenpay.com sign';
    return {
        'merchant_key.pem': await privatePem(merchant),
        'merchant_certificate.pem': await certificate(root, merchant, `C=CN, O=微信商户系统, OU=护理中心, CN=${IDS.mchid}`),
        'api_v3_key': randomBytes(24).toString('base64url'),
        'public_key.pem': await publicPem(publicKey),
        'public_key_id': `PUB_KEY_ID_0${IDS.mchid}${Array.from(randomBytes(20), (byte) => byte % 10).join('')}`,
        'platform_certificate.pem': await certificate(root, platform, platformName),
        'next_platform_certificate.pem': await certificate(root, next, platformName),
        'platform_signs_with_public_key.pem': await privatePem(publicKey),
        'platform_signs_with_certificate.pem': await privatePem(platform),
        'platform_signs_with_next.pem': await privatePem(next),
    };
}

async function makeAlipay() {
    const company = 'C=CN, O=Ant Financial, OU=Certification Authority';
    const root = await authority(`${company}, CN=Ant Financial Certification Authority R1`);
    const [app, platform] = await Promise.all([newKeys(), newKeys()]);
    // The root file holds certificates of other kinds too, which its serial number leaves out.
    const curve = await authority(`${company}, CN=Ant Financial Certification Authority E1`, EC);
    return {
        'app_private_key.pem': await privatePem(app),
        'app_certificate.pem': await certificate(root, app, `C=CN, O=护理中心, OU=Alipay, CN=${IDS.alipayAppId}`),
        'alipay_public_key.pem': await publicPem(platform),
        'alipay_certificate.pem': await certificate(root, platform, 'C=CN, O=支付宝(中国)网络技术有限公司, OU=Alipay, CN=支付宝(中国)网络技术有限公司'),
        'root_certificate.pem': `${curve.certificate.toString('pem')}\n${root.certificate.toString('pem')}\n`,
        'platform_signs.pem': await privatePem(platform),
    };
}

async function makeUnionpay() {
    const root = await authority('C=CN, O=China Financial Certification Authority, CN=CFCA ACS CA');
    const middle = await authority('C=CN, O=China Financial Certification Authority, CN=CFCA ACS OCA31', RSA, root);
    const [merchant, platform] = await Promise.all([newKeys(), newKeys()]);
    const foreign = await authority('C=CN, O=Somebody Else, CN=Somebody Else CA');
    const platformName = 'C=CN, O=CFCA ACS OCA31, OU=UnionPay, OU=Organizational-1, CN=041@Z12@中国银联股份有限公司@00010000';
    return {
        'merchant_key.pem': await privatePem(merchant),
        'merchant_certificate.pem': await certificate(middle, merchant, `C=CN, O=CFCA ACS OCA31, OU=UnionPay, CN=${IDS.unionpayMerchantId}`),
        'root_certificate.pem': `${root.certificate.toString('pem')}\n`,
        'middle_certificate.pem': `${middle.certificate.toString('pem')}\n`,
        'platform_certificate.pem': await certificate(middle, platform, platformName),
        'foreign_certificate.pem': await certificate(foreign, platform, platformName),
        'platform_signs.pem': await privatePem(platform),
    };
}

function readWechat(read) {
    const signer = (keyFile, serial) => ({ serial, key: createPrivateKey(read(`wechat/${keyFile}`)) });
    const certificates = ['wechat/platform_certificate.pem', 'wechat/next_platform_certificate.pem'].map(read);
    const merchant = new X509Certificate(read('wechat/merchant_certificate.pem'));
    return {
        merchantSerial: merchant.serialNumber,
        merchantPublicKey: merchant.publicKey,
        apiV3Key: read('wechat/api_v3_key'),
        publicKeyId: read('wechat/public_key_id'),
        certificates,
        signers: {
            public_key: signer('platform_signs_with_public_key.pem', read('wechat/public_key_id')),
            certificate: signer('platform_signs_with_certificate.pem', new X509Certificate(certificates[0]).serialNumber),
            next: signer('platform_signs_with_next.pem', new X509Certificate(certificates[1]).serialNumber),
        },
    };
}

function readAlipay(read) {
    return {
        appPublicKey: new X509Certificate(read('alipay/app_certificate.pem')).publicKey,
        appSerial: alipaySerial(read('alipay/app_certificate.pem')),
        rootSerial: alipayRootSerial(read('alipay/root_certificate.pem')),
        platformSerial: alipaySerial(read('alipay/alipay_certificate.pem')),
        key: createPrivateKey(read('alipay/platform_signs.pem')),
    };
}

function readUnionpay(read) {
    const merchant = new X509Certificate(read('unionpay/merchant_certificate.pem'));
    return {
        merchantCertId: BigInt(`0x${merchant.serialNumber}`).toString(),
        merchantPublicKey: merchant.publicKey,
        certificate: read('unionpay/platform_certificate.pem'),
        foreignCertificate: read('unionpay/foreign_certificate.pem'),
        key: createPrivateKey(read('unionpay/platform_signs.pem')),
    };
}

// The MD5 of the issuer, its parts in reverse, and the serial number in decimal.
function alipaySerial(pem) {
    const parsed = new X509Certificate(pem);
    const issuer = parsed.issuer.split('\n').reverse().join();
    return createHash('md5').update(issuer + BigInt(`0x${parsed.serialNumber}`).toString()).digest('hex');
}

// Only certificates with an RSA signature count.
function alipayRootSerial(pems) {
    const each = pems.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
    return each.filter((pem) => new X509Certificate(pem).publicKey.asymmetricKeyType === 'rsa').map(alipaySerial).join('_');
}

function newKeys(algorithm = RSA) {
    return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function authority(subject, algorithm = RSA, issuer = null) {
    const keys = await newKeys(algorithm);
    const extensions = [new x509.BasicConstraintsExtension(true, undefined, true)];
    return { keys, certificate: await issue(issuer, keys, subject, extensions, algorithm) };
}

async function certificate(issuer, keys, subject) {
    const extensions = [new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true)];
    return `${(await issue(issuer, keys, subject, extensions, RSA)).toString('pem')}\n`;
}

function issue(issuer, keys, subject, extensions, algorithm) {
    const serialNumber = randomBytes(20);
    // A serial number is positive, and its first byte is not nought.
    serialNumber[0] = 0x40 | (serialNumber[0] & 0x3f);
    const signingKey = issuer ? issuer.keys.privateKey : keys.privateKey;
    return x509.X509CertificateGenerator.create({
        serialNumber: serialNumber.toString('hex'), subject, issuer: issuer ? issuer.certificate.subject : subject,
        notBefore: NOT_BEFORE, notAfter: NOT_AFTER, publicKey: keys.publicKey, signingKey,
        signingAlgorithm: issuer ? RSA : algorithm,
        extensions,
    });
}

async function privatePem({ privateKey }) {
    const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey));
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' });
}

async function publicPem({ publicKey }) {
    const der = Buffer.from(await webcrypto.subtle.exportKey('spki', publicKey));
    return createPublicKey({ key: der, format: 'der', type: 'spki' }).export({ format: 'pem', type: 'spki' });
}
