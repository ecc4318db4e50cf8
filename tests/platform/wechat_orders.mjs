// Orders of WeChat Pay: native codes and mini-program payments.

import { fromRfc3339, rfc3339 } from './china_time.mjs';
import { exactly, flag, jsonBody, notifyUrl, object, optional, parameters, same, text, that, whole } from './fields.mjs';
import { business, protocol } from './world.mjs';

const CODE_LIFE_MS = 2 * 3_600_000;
const ORDER_LIFE_MS = 7 * 24 * 3_600_000;
const EXPIRY_MIN_MS = 60_000;
const DESCRIPTIONS = { NOTPAY: '订单未支付', SUCCESS: '支付成功', REFUND: '转入退款', CLOSED: '订单已关闭' };

// Numbers in `Request-ID` that tell refusals with one code apart.
const CHANGED_REPEAT = 268498688;
const EXPIRED = 268447914;

export class WechatOrders {
    constructor(platform) {
        this.platform = platform;
        this.world = platform.world;
        const { mchid } = this.world.keys.ids;
        const common = {
            appid: text({ max: 32 }),
            mchid: exactly(mchid),
            description: text({ max: 127 }),
            out_trade_no: text({ min: 6, max: 32, pattern: /^[0-9A-Za-z_\-|*]+$/ }),
            time_expire: optional(that((value) => fromRfc3339(value) !== null, 'is not a time such as 2026-03-02T12:00:00+08:00')),
            attach: optional(text({ max: 128 })),
            notify_url: notifyUrl({ max: 255 }),
            goods_tag: optional(text({ max: 32 })),
            support_fapiao: optional(flag()),
            limit_pay: optional(text({ max: 32 })),
            amount: object({ total: whole({ min: 1 }), currency: optional(exactly('CNY')) }),
            scene_info: optional(object({ payer_client_ip: text({ max: 45, pattern: /^[0-9a-fA-F.:]+$/ }) })),
        };
        this.shapes = {
            native: object(common),
            jsapi: object({ ...common, payer: object({ openid: text({ max: 128, pattern: /^[\w-]+$/ }) }) }),
        };
    }

    reset() {
        this.all = new Map();
    }

    create(request) {
        const tradeType = request.path.endsWith('/native') ? 'NATIVE' : 'JSAPI';
        const asked = jsonBody(request, this.shapes[tradeType.toLowerCase()]);
        this.platform.checkAppid(asked.appid);
        const known = this.all.get(asked.out_trade_no);
        if (known) this.#checkRepeat(known, asked, tradeType);
        const order = known ?? this.#book(asked, tradeType);
        return this.#freshCode(order);
    }

    query(request, out_trade_no) {
        this.#checkMerchant(request);
        return this.#view(this.#find(out_trade_no));
    }

    queryById(request, transaction_id) {
        this.#checkMerchant(request);
        return this.#view(this.byId(transaction_id) ?? this.#find(null));
    }

    close(request, out_trade_no) {
        jsonBody(request, object({ mchid: exactly(this.world.keys.ids.mchid) }));
        const order = this.#find(out_trade_no);
        if (order.paid_ms) throw business('ORDERPAID', '该订单已支付');
        order.state = 'CLOSED';
        return null;
    }

    byId(transaction_id) {
        return [...this.all.values()].find((order) => order.platform_no === transaction_id);
    }

    // The family pays. Gives why not, or null.
    pay(order_no, { payer, coupon_fen = 0 } = {}) {
        const order = this.all.get(order_no);
        const now = this.world.now();
        if (!order) return 'unknown';
        if (order.state === 'CLOSED') return 'closed';
        if (order.paid_ms) return 'paid';
        if (now > order.expires_ms) return 'expired';
        if (now > order.code.until_ms) return 'code expired';
        const openid = order.request.payer?.openid;
        if (openid && payer && payer !== openid) return 'another payer';
        order.payer = payer ?? openid ?? 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o';
        order.state = 'SUCCESS';
        order.paid_ms = now;
        order.platform_no = this.world.number('42000', 23);
        order.payer_fen = order.amount_fen - coupon_fen;
        order.charges += 1;
        order.charged_fen += order.amount_fen;
        this.world.move('wechat', order.amount_fen);
        this.platform.notices.payment(order);
        return null;
    }

    // What a query, and a notification, say of an order.
    transaction(order) {
        const { mchid, appid } = this.world.keys.ids;
        const open = !order.paid_ms;
        return {
            appid, mchid, out_trade_no: order.order_no,
            ...(!open && { transaction_id: order.platform_no, trade_type: order.trade_type, bank_type: 'OTHERS' }),
            trade_state: order.state, trade_state_desc: DESCRIPTIONS[order.state],
            attach: order.request.attach ?? '',
            ...(!open && { success_time: rfc3339(order.paid_ms), payer: { openid: order.payer } }),
            amount: open
                ? { total: order.amount_fen, currency: 'CNY', payer_currency: 'CNY' }
                : { total: order.amount_fen, payer_total: order.payer_fen, currency: 'CNY', payer_currency: 'CNY' },
            promotion_detail: [],
        };
    }

    #book(asked, trade_type) {
        const now = this.world.now();
        const until = asked.time_expire ? Math.max(fromRfc3339(asked.time_expire), now + EXPIRY_MIN_MS) : now + ORDER_LIFE_MS;
        const order = {
            channel: 'wechat', order_no: asked.out_trade_no, trade_type, request: asked, amount_fen: asked.amount.total,
            state: 'NOTPAY', created_ms: now, expires_ms: until, paid_ms: null, payer: null, platform_no: null,
            charges: 0, charged_fen: 0, refunded_fen: 0,
        };
        this.all.set(order.order_no, order);
        return order;
    }

    #checkRepeat(order, asked, tradeType) {
        if (order.paid_ms) throw business('ORDERPAID', '该订单已支付');
        if (order.state === 'CLOSED') throw business('ORDER_CLOSED', '订单已关闭');
        if (order.trade_type !== tradeType) throw protocol('OUT_TRADE_NO_USED', '商户订单号重复');
        if (!same(order.request, asked)) throw protocol('INVALID_REQUEST', '请求重入时，参数与首次请求时不一致', { reason: CHANGED_REPEAT });
        if (this.world.now() > order.expires_ms) throw business('INVALID_REQUEST', '订单已失效', { reason: EXPIRED });
    }

    // Each create gives a new code, and the one before it dies.
    #freshCode(order) {
        const value = this.world.number(order.trade_type === 'NATIVE' ? 'pr' : 'wx', 30);
        order.code = { value, until_ms: this.world.now() + CODE_LIFE_MS };
        return order.trade_type === 'NATIVE' ? { code_url: `weixin://wxpay/bizpayurl?pr=${value}` } : { prepay_id: value };
    }

    #view(order) {
        return this.transaction(order);
    }

    #find(out_trade_no) {
        const order = this.all.get(out_trade_no);
        if (!order) throw business('ORDER_NOT_EXIST', '订单不存在');
        return order;
    }

    #checkMerchant(request) {
        if (parameters(request, ['mchid']).mchid !== this.world.keys.ids.mchid) throw protocol('PARAM_ERROR', 'mchid 与商户不符');
    }
}
