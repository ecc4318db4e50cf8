// Transfers to Alipay accounts.

import { spaced } from './china_time.mjs';
import { exactly, object, optional, same, text } from './fields.mjs';
import { amount } from './alipay_trades.mjs';
import { fen, yuan } from './money.mjs';
import { business, protocol } from './world.mjs';

const AMOUNT_MIN_FEN = 10;
const REMARK_FROM_FEN = 5_000_000;
const PRODUCT = exactly('TRANS_ACCOUNT_NO_PWD');
const SCENE = exactly('DIRECT_TRANSFER');
const NUMBER = text({ max: 64, pattern: /^[0-9A-Za-z]+$/ });

export class AlipayTransfers {
    constructor(platform) {
        this.platform = platform;
        this.world = platform.world;
        this.shape = object({
            out_biz_no: NUMBER,
            trans_amount: amount(AMOUNT_MIN_FEN),
            product_code: PRODUCT,
            biz_scene: SCENE,
            order_title: optional(text({ max: 128 })),
            remark: optional(text({ max: 200 })),
            payee_info: object({
                identity: text({ max: 64 }),
                identity_type: exactly('ALIPAY_USER_ID', 'ALIPAY_OPEN_ID', 'ALIPAY_LOGON_ID'),
                name: optional(text({ max: 128 })),
            }),
        });
        this.queryShape = object({
            out_biz_no: optional(NUMBER), order_id: optional(text({ max: 64 })), product_code: optional(PRODUCT), biz_scene: optional(SCENE),
        });
    }

    reset() {
        this.all = new Map();
    }

    create(asked) {
        this.shape(asked);
        const { payee_info: payee, remark } = asked;
        const amount_fen = fen(asked.trans_amount);
        if (payee.identity_type === 'ALIPAY_LOGON_ID' && !payee.name) throw protocol('INVALID_PARAMETER', '登录号须传 name');
        if (payee.identity_type === 'ALIPAY_USER_ID' && !/^2088\d{12}$/.test(payee.identity)) throw business('PAYEE_NOT_EXIST', '收款账号不存在');
        if (amount_fen >= REMARK_FROM_FEN && !remark) throw protocol('INVALID_PARAMETER', '50000 元及以上须传 remark');
        const known = this.all.get(asked.out_biz_no);
        if (known) {
            if (!same(known.request, asked)) throw protocol('PAYMENT_INFO_INCONSISTENCY', '两次请求商户单号一样，但是参数不一致');
            return this.#made(known);
        }
        if (!this.world.canTake('alipay', amount_fen)) throw business('PAYER_BALANCE_NOT_ENOUGH', '付款方余额不足');
        const transfer = this.#book(asked, amount_fen);
        if (this.world.settlement === 'auto') this.settle(transfer.transfer_no, 'SUCCESS');
        return this.#made(transfer);
    }

    query(asked) {
        this.queryShape(asked);
        const { out_biz_no, order_id, product_code, biz_scene } = asked;
        if (order_id === undefined && !(out_biz_no && product_code && biz_scene)) {
            throw protocol('INVALID_PARAMETER', '须传 out_biz_no、product_code 和 biz_scene');
        }
        const transfer = out_biz_no
            ? this.all.get(out_biz_no)
            : [...this.all.values()].find(({ platform_no }) => platform_no === order_id);
        if (!transfer) throw business('ORDER_NOT_EXIST', '转账订单不存在');
        const { fail_reason } = transfer;
        return {
            ...this.#numbers(transfer), status: transfer.state, trans_amount: yuan(transfer.amount_fen),
            ...(transfer.moves && { pay_date: spaced(transfer.paid_ms) }),
            ...(fail_reason && { error_code: fail_reason, fail_reason }),
        };
    }

    // DEALING ends as SUCCESS or FAIL; a bank may still send a SUCCESS back, which makes it a REFUND.
    settle(out_biz_no, state, reason = null) {
        const transfer = this.all.get(out_biz_no);
        if (!transfer) throw new Error(`no transfer is ${out_biz_no}`);
        const allowed = { DEALING: ['SUCCESS', 'FAIL', 'REFUND'], SUCCESS: ['REFUND'] }[transfer.state] ?? [];
        if (!allowed.includes(state)) throw new Error(`a transfer can't go from ${transfer.state} to ${state}`);
        transfer.state = state;
        transfer.settled_ms = this.world.now();
        if (state === 'SUCCESS') {
            transfer.moves += 1;
            transfer.moved_fen += transfer.amount_fen;
            transfer.paid_ms = this.world.now();
        } else {
            transfer.fail_reason = reason ?? 'PAYEE_ACC_OCUPIED';
            if (transfer.moves) transfer.returned_fen += transfer.amount_fen;
            this.world.move('alipay', transfer.amount_fen);
        }
    }

    #book(asked, amount_fen) {
        const transfer = {
            channel: 'alipay', transfer_no: asked.out_biz_no, request: asked, amount_fen, payee: asked.payee_info.identity, state: 'DEALING',
            fail_reason: null, moves: 0, moved_fen: 0, returned_fen: 0, created_ms: this.world.now(), paid_ms: null, settled_ms: null,
            platform_no: this.world.number('2026', 28),
        };
        this.all.set(transfer.transfer_no, transfer);
        this.world.move('alipay', -amount_fen);
        return transfer;
    }

    #numbers({ transfer_no, platform_no }) {
        return { out_biz_no: transfer_no, order_id: platform_no, pay_fund_order_id: `${platform_no}F` };
    }

    #made(transfer) {
        const { state, paid_ms, created_ms } = transfer;
        return { ...this.#numbers(transfer), status: state, trans_date: spaced(paid_ms ?? created_ms) };
    }
}
