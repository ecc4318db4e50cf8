// The configuration with which canshi finds this platform.

import * as fs from 'node:fs';
import * as path from 'node:path';

export function writeConfig(directory, { keys, baseUrl, notifyBase }) {
    const file = (name) => path.resolve(keys.file(name));
    const { ids, wechat } = keys;
    const settings = {
        payment_notify_url: notifyBase,
        wechatpay_base_url: baseUrl,
        wechatpay_mchid: ids.mchid,
        wechatpay_appid: ids.appid,
        wechatpay_certificate_serial: wechat.merchantSerial,
        wechatpay_private_key: file('wechat/merchant_key.pem'),
        wechatpay_api_v3_key: file('wechat/api_v3_key'),
        wechatpay_public_key_id: wechat.publicKeyId,
        wechatpay_public_key: file('wechat/public_key.pem'),
        wechatpay_certificates: [file('wechat/platform_certificate.pem')],
        wechatpay_transfer_scene: '1005',
        wechatpay_transfer_report: ['岗位类型=月子护理师', '报酬说明=护理服务报酬'],
        alipay_base_url: `${baseUrl}/gateway.do`,
        alipay_app_id: ids.alipayAppId,
        alipay_seller_id: ids.alipaySellerId,
        alipay_private_key: file('alipay/app_private_key.pem'),
        alipay_public_key: file('alipay/alipay_public_key.pem'),
        alipay_app_certificate: file('alipay/app_certificate.pem'),
        alipay_certificate: file('alipay/alipay_certificate.pem'),
        alipay_root_certificate: file('alipay/root_certificate.pem'),
        unionpay_base_url: baseUrl,
        unionpay_file_url: baseUrl,
        unionpay_merchant_id: ids.unionpayMerchantId,
        unionpay_certificate: file('unionpay/merchant_certificate.pem'),
        unionpay_private_key: file('unionpay/merchant_key.pem'),
        unionpay_root_certificate: file('unionpay/root_certificate.pem'),
        unionpay_middle_certificate: file('unionpay/middle_certificate.pem'),
    };
    // Strings and lists of them are the same in TOML as in JSON.
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`);
    fs.mkdirSync(directory, { recursive: true });
    fs.writeFileSync(path.join(directory, 'canshi.toml'), lines.join(''));
}
