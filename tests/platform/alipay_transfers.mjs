// Alipay's transfers to accounts.

import { spaced } from './china_time.mjs';
import { exactly, list, object, optional, same, text } from './fields.mjs';
import { amount, number } from './alipay_trades.mjs';
import { fen, yuan } from './money.mjs';
import { business, protocol } from './world.mjs';

const AMOUNT_MIN_FEN = 10;
const REMARK_FROM_FEN = 5_000_000;

export class AlipayTransfers {
    constructor(platform) {
        this.platform = platform;
        this.world = platform.world;
        const product = { product_code: exactly('TRANS_ACCOUNT_NO_PWD'), biz_scene: exactly('DIRECT_TRANSFER') };
        const own = text({ max: 64, pattern: /^[0-9A-Za-z]+$/ });
        this.shape = object({
            ...product, out_biz_no: own, trans_amount: amount, order_title: text({ max: 128 }), remark: optional(text({ max: 200 })),
            payee_info: object({
                identity: text({ max: 64 }), identity_type: exactly('ALIPAY_USER_ID', 'ALIPAY_OPEN_ID', 'ALIPAY_LOGON_ID'),
                name: optional(text({ max: 128 })),
            }),
            business_params: optional(text({ max: 2048 })),
            transfer_scene_name: optional(text({ max: 64 })),
            transfer_scene_report_infos: optional(list(object({ info_type: text({ max: 64 }), info_content: text({ max: 256 }) }), { max: 10 })),
        });
        this.which = object({ ...product, out_biz_no: own });
        this.byOrder = object({ order_id: number });
    }

    reset() {
        this.all = new Map();
    }

    create(asked, { app_cert_sn }) {
        this.#checkMode(app_cert_sn);
        this.shape(asked);
        this.#checkPayee(asked);
        const known = this.all.get(asked.out_biz_no);
        if (known && !same(known.request, asked)) throw protocol('PAYMENT_INFO_INCONSISTENCY', '两次请求商户单号一样，但是参数不一致');
        if (!known && !this.world.canTake('alipay', fen(asked.trans_amount))) throw business('PAYER_BALANCE_NOT_ENOUGH', '付款方余额不足');
        const transfer = known ?? this.#book(asked);
        if (transfer.state === 'FAIL') throw business(transfer.error_code, '转账失败');
        const { transfer_no, platform_no, state, created_ms } = transfer;
        return { out_biz_no: transfer_no, order_id: platform_no, pay_fund_order_id: platform_no, status: state, trans_date: spaced(created_ms) };
    }

    query(asked, { app_cert_sn }) {
        this.#checkMode(app_cert_sn);
        if (asked?.order_id === undefined) this.which(asked);
        else this.byOrder(asked);
        const byId = () => [...this.all.values()].find(({ platform_no }) => platform_no === asked.order_id);
        const transfer = asked.order_id ? byId() : this.all.get(asked.out_biz_no);
        if (!transfer) throw business('ORDER_NOT_EXIST', '转账订单不存在');
        const { transfer_no, platform_no, state, settled_ms, error_code, amount_fen } = transfer;
        return {
            out_biz_no: transfer_no, order_id: platform_no, pay_fund_order_id: platform_no, status: state, trans_amount: yuan(amount_fen),
            ...(state === 'SUCCESS' && { pay_date: spaced(settled_ms) }),
            ...(error_code && { error_code, fail_reason: error_code }),
        };
    }

    // DEALING ends as SUCCESS or FAIL; what was paid can still bounce.
    settle(no, state, reason = null) {
        const transfer = this.all.get(no);
        const allowed = { DEALING: ['SUCCESS', 'FAIL'], SUCCESS: ['REFUND'] }[transfer?.state] ?? [];
        if (!allowed.includes(state)) throw new Error(`a transfer can't go from ${transfer?.state} to ${state}`);
        transfer.state = state;
        transfer.settled_ms = this.world.now();
        if (state === 'SUCCESS') {
            transfer.moves += 1;
            transfer.moved_fen += transfer.amount_fen;
            return;
        }
        // A bounce gives back what had moved.
        if (state === 'REFUND') transfer.moved_fen -= transfer.amount_fen;
        transfer.error_code = reason ?? 'PAYEE_ACC_OCUPIED';
        this.world.move('alipay', transfer.amount_fen);
    }

    #book(asked) {
        const now = this.world.now();
        const transfer = {
            channel: 'alipay', transfer_no: asked.out_biz_no, request: asked, amount_fen: fen(asked.trans_amount),
            payee: asked.payee_info.identity, state: 'DEALING', error_code: null, moves: 0, moved_fen: 0, created_ms: now, settled_ms: null,
            platform_no: this.world.number('20260', 27),
        };
        this.all.set(transfer.transfer_no, transfer);
        this.world.move('alipay', -transfer.amount_fen);
        if (this.world.settlement === 'auto') this.settle(transfer.transfer_no, 'SUCCESS');
        return transfer;
    }

    // Fund calls are open to applications with certificates only.
    #checkMode(app_cert_sn) {
        if (app_cert_sn) return;
        throw protocol('isv.insufficient-isv-permissions', '资金类接口须使用证书模式', { level: 40006 });
    }

    #checkPayee({ trans_amount, remark, payee_info }) {
        const refuse = (why) => protocol('INVALID_PARAMETER', why);
        if (fen(trans_amount) < AMOUNT_MIN_FEN) throw refuse('转账金额低于 0.1 元');
        if (fen(trans_amount) >= REMARK_FROM_FEN && !remark) throw refuse('50000 元及以上须传 remark');
        const { identity, identity_type, name } = payee_info;
        if (identity_type === 'ALIPAY_LOGON_ID' && !name) throw refuse('登录号须传收款人姓名');
        if (identity_type === 'ALIPAY_USER_ID' && !/^2088\d{12}$/.test(identity)) throw refuse('identity 不是支付宝用户号');
    }
}
