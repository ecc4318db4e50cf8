// The bills of WeChat Pay: UTF-8 with a mark, backticks before the cells, a SHA-1 of the file.

import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

import { Bills } from './bills.mjs';
import { spaced } from './china_time.mjs';
import { parameters } from './fields.mjs';
import { yuan } from './money.mjs';
import { business, protocol } from './world.mjs';

const READY_HOUR = 10;
const LINK_LIFE_MS = 30_000;
const KEPT_MS = 93 * 24 * 3_600_000;
const FEE_PER_MILLE = 6;

const TRADE_COLUMNS = ('交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,'
    + '微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注').split(',');
const TRADE_SUMMARY = '总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额';
const FUND_COLUMNS = '记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号';
const FUND_SUMMARY = '资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额';

export class WechatBills extends Bills {
    constructor(platform) {
        super(platform.world);
        this.platform = platform;
    }

    trades(request) {
        const { bill_date, bill_type = 'ALL', tar_type } = parameters(request, ['bill_date', 'bill_type', 'tar_type']);
        if (!['ALL', 'SUCCESS', 'REFUND'].includes(bill_type)) throw protocol('PARAM_ERROR', 'bill_type');
        this.#checkDate(bill_date);
        const rows = this.rows(bill_date, this.#tradeEntries()).filter(({ kind }) => bill_type === 'ALL' || kind === bill_type);
        return this.#offer(bill_date, rows, tar_type, () => this.#tradeFile(rows));
    }

    funds(request) {
        const { bill_date, account_type = 'BASIC', tar_type } = parameters(request, ['bill_date', 'account_type', 'tar_type']);
        if (!['BASIC', 'OPERATION', 'FEES'].includes(account_type)) throw protocol('PARAM_ERROR', 'account_type');
        this.#checkDate(bill_date);
        const rows = this.rows(bill_date, this.#fundEntries()).filter((row) => row.account === account_type);
        return this.#offer(bill_date, rows, tar_type, () => this.#fundFile(rows));
    }

    download(request) {
        const content = this.fetch(parameters(request, ['token']).token);
        if (!content) throw business('NOT_FOUND', '账单文件不存在或下载链接已失效');
        return content;
    }

    #checkDate(bill_date) {
        if (!this.isDay(bill_date)) throw protocol('PARAM_ERROR', 'bill_date');
        if (this.tampered(bill_date) === 'not_ready' || !this.isReady(bill_date, READY_HOUR)) {
            throw business('STATEMENT_CREATING', '账单生成中，请稍后再试');
        }
    }

    #offer(bill_date, rows, tar_type, file) {
        if (tar_type !== undefined && tar_type !== 'GZIP') throw protocol('PARAM_ERROR', 'tar_type');
        const old = this.world.now() - Date.parse(`${bill_date}T00:00:00+08:00`) > KEPT_MS;
        if (rows.length === 0 || old) throw business('NO_STATEMENT_EXIST', '账单文件不存在');
        const content = Buffer.from(file());
        const hash = createHash('sha1').update(content).digest('hex');
        const token = this.keep(tar_type ? gzipSync(content) : content, LINK_LIFE_MS);
        return {
            hash_type: 'SHA1',
            hash_value: this.tampered(bill_date) === 'bad_hash' ? createHash('sha1').update(hash).digest('hex') : hash,
            download_url: `${this.world.baseUrl}/v3/billdownload/file?token=${token}`,
        };
    }

    #tradeEntries() {
        const paid = [...this.platform.orders.all.values()].filter(({ paid_ms }) => paid_ms);
        const refunded = [...this.platform.refunds.all.values()].filter(({ moves }) => moves);
        return [
            ...paid.map((order) => ({
                kind: 'SUCCESS', at_ms: order.paid_ms, no: order.order_no, platform_no: order.platform_no, fen: order.amount_fen, order,
            })),
            ...refunded.map((refund) => ({
                kind: 'REFUND', at_ms: refund.settled_ms, no: refund.refund_no, platform_no: refund.platform_no, fen: refund.amount_fen,
                order: refund.order,
            })),
        ];
    }

    #fundEntries() {
        const names = { SUCCESS: ['交易', '收入'], REFUND: ['退款', '支出'] };
        const trades = this.#tradeEntries().map((entry) => ({ ...entry, account: 'BASIC', name: names[entry.kind][0], way: names[entry.kind][1] }));
        const paid = [...this.platform.transfers.all.values()].filter(({ moves }) => moves);
        return trades.concat(paid.map((transfer) => ({
            at_ms: transfer.settled_ms, no: transfer.transfer_no, platform_no: transfer.platform_no, fen: transfer.amount_fen,
            account: 'OPERATION', name: '商家转账', way: '支出',
        })));
    }

    #tradeFile(rows) {
        const sum = (kind) => rows.filter((row) => row.kind === kind).reduce((total, { fen }) => total + fen, 0);
        const fees = rows.reduce((total, row) => total + signedFee(row), 0);
        const [paid, refunded] = [yuan(sum('SUCCESS')), yuan(sum('REFUND'))];
        const summary = [rows.length, paid, refunded, '0.00', fivePlaces(fees), paid, refunded];
        return file(TRADE_COLUMNS.join(), rows.map((row) => this.#tradeRow(row)), TRADE_SUMMARY, summary);
    }

    #tradeRow(row) {
        const { mchid, appid } = this.world.keys.ids;
        const { order, kind, fen } = row;
        const refund = kind === 'REFUND';
        const cells = {
            交易时间: spaced(row.at_ms), 公众账号ID: appid, 商户号: mchid, 特约商户号: '0', 微信订单号: refund ? order.platform_no : row.platform_no,
            商户订单号: refund ? order.order_no : row.no, 用户标识: order.payer, 交易类型: order.trade_type, 交易状态: kind, 付款银行: 'OTHERS',
            货币种类: 'CNY', 应结订单金额: yuan(refund ? 0 : fen), 代金券金额: '0.00', 微信退款单号: refund ? row.platform_no : '0',
            商户退款单号: refund ? row.no : '0', 退款金额: yuan(refund ? fen : 0), 充值券退款金额: '0.00', 退款类型: refund ? 'ORIGINAL' : '',
            退款状态: refund ? 'SUCCESS' : '', 商品名称: order.request.description, 商户数据包: order.request.attach ?? '',
            手续费: fivePlaces(signedFee(row)), 费率: '0.60%', 订单金额: yuan(refund ? 0 : fen), 申请退款金额: yuan(refund ? fen : 0),
        };
        return TRADE_COLUMNS.map((name) => cells[name] ?? '');
    }

    #fundFile(rows) {
        const side = (way) => rows.filter((row) => row.way === way);
        const sum = (way) => yuan(side(way).reduce((total, { fen }) => total + fen, 0));
        const cells = rows.map(({ at_ms, no, platform_no, name, way, fen }) => [
            spaced(at_ms), platform_no, `F${platform_no}`, name, name, way, yuan(fen), '0.00', 'system', '', no,
        ]);
        const summary = [rows.length, side('收入').length, sum('收入'), side('支出').length, sum('支出')];
        return file(FUND_COLUMNS, cells, FUND_SUMMARY, summary);
    }
}

// In hundred-thousandths of a yuan; a refund gives it back.
function signedFee({ kind, fen }) {
    return (kind === 'REFUND' ? -1 : 1) * fen * FEE_PER_MILLE;
}

function fivePlaces(units) {
    const digits = String(Math.abs(units)).padStart(6, '0');
    return `${units < 0 ? '-' : ''}${digits.slice(0, -5)}.${digits.slice(-5)}`;
}

function file(header, rows, summaryHeader, summary) {
    const line = (cells) => cells.map((cell) => `\`${String(cell).replaceAll(',', ' ')}`).join();
    return `\ufeff${[header, ...rows.map(line), summaryHeader, line(summary)].join('\r\n')}\r\n`;
}
