// WeChat's transfers to users, who confirm them within a day.

import { rfc3339 } from './china_time.mjs';
import { jsonBody, list, notifyUrl, object, optional, parameters, readJson, same, text, whole } from './fields.mjs';
import { business, protocol } from './world.mjs';

const CONFIRM_MS = 24 * 3_600_000;
const QUERY_MS = 30 * 24 * 3_600_000;
const AMOUNT_MIN_FEN = 10;
const NAME_FROM_FEN = 200_000;
const NAME_NEVER_BELOW_FEN = 30;
// What must be reported for each scene that this merchant was granted.
const SCENES = { 1000: ['活动名称', '奖励说明'], 1005: ['岗位类型', '报酬说明'] };
const FINAL = ['SUCCESS', 'FAIL', 'CANCELLED'];

export class WechatTransfers {
    constructor(platform) {
        this.platform = platform;
        this.world = platform.world;
        this.shape = object({
            appid: text({ max: 32 }),
            out_bill_no: text({ max: 32, pattern: /^[0-9A-Za-z]+$/ }),
            transfer_scene_id: text({ max: 36 }),
            openid: text({ max: 64, pattern: /^[\w-]+$/ }),
            user_name: optional(text({ max: 1024 })),
            transfer_amount: whole({ min: AMOUNT_MIN_FEN }),
            transfer_remark: text({ max: 32 }),
            notify_url: optional(notifyUrl({ max: 256, https: true })),
            user_recv_perception: optional(text({ max: 32 })),
            transfer_scene_report_infos: list(object({ info_type: text({ max: 15 }), info_content: text({ max: 32 }) }), { max: 10 }),
        });
    }

    reset() {
        this.all = new Map();
    }

    create(request) {
        const asked = jsonBody(request, this.shape);
        this.platform.checkAppid(asked.appid);
        this.#checkScene(asked);
        // The ciphertext differs each time; the name is what must not.
        const meant = asked.user_name === undefined ? asked : { ...asked, user_name: this.#name(asked, request) };
        this.#checkName(meant);
        const known = this.all.get(asked.out_bill_no);
        if (known) {
            if (!same(known.request, meant)) throw protocol('INVALID_REQUEST', '商户单号已存在，数据不一致');
            return this.#created(this.#current(known));
        }
        if (!this.world.canTake('wechat', asked.transfer_amount)) throw business('NOT_ENOUGH', '商户运营账户余额不足');
        return this.#created(this.#book(meant));
    }

    query(request, out_bill_no) {
        parameters(request, []);
        return this.#view(this.#find(out_bill_no));
    }

    queryById(request, transfer_bill_no) {
        parameters(request, []);
        const found = [...this.all.values()].find((transfer) => transfer.platform_no === transfer_bill_no);
        return this.#view(this.#find(found?.transfer_no));
    }

    cancel(request, out_bill_no) {
        if (request.body.length) object({})(readJson(request.body));
        const transfer = this.#find(out_bill_no);
        if (transfer.state === 'WAIT_USER_CONFIRM') {
            this.#go(transfer, 'CANCELING');
            this.world.settle(() => {
                if (transfer.state === 'CANCELING') this.settle(out_bill_no, 'CANCELLED');
            });
        } else if (!['CANCELING', 'CANCELLED'].includes(transfer.state)) {
            throw business('INVALID_REQUEST', `当前状态 ${transfer.state} 不可撤销`);
        }
        const { platform_no, state, updated_ms } = transfer;
        return { out_bill_no, transfer_bill_no: platform_no, state, update_time: rfc3339(updated_ms) };
    }

    // The user confirms, and the money arrives.
    confirm(out_bill_no) {
        const transfer = this.#current(this.all.get(out_bill_no));
        if (transfer?.state !== 'WAIT_USER_CONFIRM') return transfer ? transfer.state : 'unknown';
        this.settle(out_bill_no, 'SUCCESS');
        return null;
    }

    settle(out_bill_no, state, reason = null) {
        const transfer = this.all.get(out_bill_no);
        if (!transfer) throw new Error(`no transfer is ${out_bill_no}`);
        if (FINAL.includes(transfer.state)) throw new Error(`the transfer is ${transfer.state} for good`);
        this.#go(transfer, state);
        transfer.fail_reason = reason ?? (state === 'FAIL' ? 'OTHER_FAIL_REASON_TYPE' : null);
        if (state === 'SUCCESS') {
            transfer.moves += 1;
            transfer.moved_fen += transfer.amount_fen;
        } else if (FINAL.includes(state)) {
            this.world.move('wechat', transfer.amount_fen);
        }
        if (FINAL.includes(state)) this.platform.notices.transfer(transfer);
    }

    // What the passing of time does: a transfer that nobody confirmed is closed, and the money returns.
    tick() {
        this.all.forEach((transfer) => this.#current(transfer));
    }

    // What a query, and a notification, say of a transfer.
    bill(transfer) {
        return {
            mch_id: this.world.keys.ids.mchid, out_bill_no: transfer.transfer_no, transfer_bill_no: transfer.platform_no,
            appid: transfer.request.appid, state: transfer.state, transfer_amount: transfer.amount_fen,
            transfer_remark: transfer.request.transfer_remark, openid: transfer.payee,
            ...(transfer.fail_reason && { fail_reason: transfer.fail_reason }),
            create_time: rfc3339(transfer.created_ms), update_time: rfc3339(transfer.updated_ms),
        };
    }

    #book(asked) {
        const now = this.world.now();
        const transfer = {
            channel: 'wechat', transfer_no: asked.out_bill_no, request: asked, amount_fen: asked.transfer_amount,
            payee: asked.openid, state: 'WAIT_USER_CONFIRM', fail_reason: null, moves: 0, moved_fen: 0, created_ms: now,
            updated_ms: now, settled_ms: null, platform_no: this.world.number('1330000', 25), package_info: this.world.number('pkg', 40),
        };
        this.all.set(transfer.transfer_no, transfer);
        // The amount is locked until the end.
        this.world.move('wechat', -transfer.amount_fen);
        return transfer;
    }

    #checkScene({ transfer_scene_id, transfer_scene_report_infos, user_recv_perception }) {
        const wanted = SCENES[transfer_scene_id];
        if (!wanted) throw protocol('NO_AUTH', '商户未开通该转账场景');
        const given = transfer_scene_report_infos.map(({ info_type }) => info_type);
        if (!same([...given].sort(), [...wanted].sort())) throw protocol('PARAM_ERROR', `场景 ${transfer_scene_id} 须报备 ${wanted.join('、')}`);
        if (transfer_scene_id === '1005' && user_recv_perception !== undefined) {
            throw protocol('PARAM_ERROR', '该场景不支持自定义 user_recv_perception');
        }
    }

    #name(asked, request) {
        const name = this.platform.open(asked.user_name, request, 'user_name');
        text({ max: 64 })(name, 'user_name');
        return name;
    }

    #checkName({ user_name, transfer_amount }) {
        if (transfer_amount >= NAME_FROM_FEN && user_name === undefined) throw protocol('PARAM_ERROR', '2000 元及以上须传 user_name');
        if (transfer_amount < NAME_NEVER_BELOW_FEN && user_name !== undefined) throw protocol('PARAM_ERROR', '0.3 元以下不支持 user_name');
    }

    #current(transfer) {
        if (transfer?.state === 'WAIT_USER_CONFIRM' && this.world.now() > transfer.created_ms + CONFIRM_MS) {
            this.settle(transfer.transfer_no, 'FAIL', 'OVERDUE_CLOSE');
        }
        return transfer;
    }

    #find(out_bill_no) {
        const transfer = this.#current(this.all.get(out_bill_no));
        if (!transfer || this.world.now() > transfer.created_ms + QUERY_MS) throw business('NOT_FOUND', '记录不存在');
        return transfer;
    }

    #go(transfer, state) {
        transfer.state = state;
        transfer.updated_ms = this.world.now();
        if (FINAL.includes(state)) transfer.settled_ms = this.world.now();
    }

    #created({ transfer_no, platform_no, created_ms, state, fail_reason, package_info }) {
        return {
            out_bill_no: transfer_no, transfer_bill_no: platform_no, create_time: rfc3339(created_ms), state,
            ...(fail_reason && { fail_reason }), ...(state === 'WAIT_USER_CONFIRM' && { package_info }),
        };
    }

    #view(transfer) {
        return this.bill(transfer);
    }
}
