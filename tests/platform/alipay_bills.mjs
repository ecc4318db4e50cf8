// The bills of Alipay: a ZIP of two GBK files, one with each line and one by shop.

import { zipSync } from 'fflate';
import iconv from 'iconv-lite';

import { Bills } from './bills.mjs';
import { spaced } from './china_time.mjs';
import { exactly, object, text } from './fields.mjs';
import { yuan } from './money.mjs';
import { business, protocol } from './world.mjs';

const READY_HOUR = 9;
const LINK_LIFE_MS = 30_000;
const FEE_PER_MILLE = 6;
const COLUMNS = ('支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,'
    + '支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注').split(',');
const FLOW_COLUMNS = '账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注'.split(',');
const RULE = '-'.repeat(40);
const SHAPE = object({ bill_type: exactly('trade', 'signcustomer'), bill_date: text({ max: 10 }) });

export class AlipayBills extends Bills {
    constructor(platform) {
        super(platform.world);
        this.platform = platform;
    }

    offer(asked) {
        SHAPE(asked);
        const { bill_type, bill_date } = asked;
        if (!this.isDay(bill_date)) throw protocol('isv.invalid-parameter', 'bill_date');
        const rows = this.rows(bill_date, bill_type === 'trade' ? this.#trades() : this.#flow());
        if (rows.length === 0 || this.tampered(bill_date) === 'not_ready' || !this.isReady(bill_date, READY_HOUR)) {
            throw business('isp.bill_not_exist', '账单不存在');
        }
        const content = bill_type === 'trade' ? this.#tradeFiles(bill_date, rows) : this.#flowFiles(bill_date, rows);
        // There is no hash, so what can be broken is the file.
        if (this.tampered(bill_date) === 'bad_hash') content[content.length >> 1] ^= 0xff;
        return { bill_download_url: `${this.world.baseUrl}/alipay/bill?token=${this.keep(content, LINK_LIFE_MS)}` };
    }

    download({ query }) {
        const content = this.fetch(new URLSearchParams(query).get('token'));
        if (!content) return { status: 404, headers: { 'content-type': 'text/html' }, body: Buffer.from('gone') };
        return { status: 200, headers: { 'content-type': 'application/zip' }, body: content };
    }

    #trades() {
        const paid = [...this.platform.trades.all.values()].filter(({ paid_ms }) => paid_ms);
        const refunded = [...this.platform.refunds.all.values()].filter(({ moves }) => moves);
        return [
            ...paid.map((order) => ({ kind: '交易', at_ms: order.paid_ms, no: order.order_no, platform_no: order.platform_no, fen: order.amount_fen, order })),
            ...refunded.map((refund) => ({
                kind: '退款', at_ms: refund.settled_ms, no: refund.refund_no, platform_no: refund.platform_no, fen: refund.amount_fen, order: refund.order,
            })),
        ];
    }

    #flow() {
        const trades = this.#trades().map((row) => ({ ...row, name: row.kind === '交易' ? '在线支付' : '交易退款', into: row.kind === '交易' }));
        const transfers = [...this.platform.transfers.all.values()].filter(({ moves }) => moves);
        return trades.concat(transfers.map((transfer) => ({
            at_ms: transfer.paid_ms, no: transfer.transfer_no, platform_no: transfer.platform_no, fen: transfer.amount_fen, name: '转账', into: false,
        })));
    }

    #tradeFiles(date, rows) {
        const of = (kind) => rows.filter((row) => row.kind === kind);
        const sum = (kind) => yuan((kind === '退款' ? -1 : 1) * of(kind).reduce((total, { fen }) => total + fen, 0));
        const details = [
            COLUMNS.join(), ...rows.map((row) => cells(COLUMNS, tradeCells(row))),
            `#${RULE}业务明细列表结束${RULE}`,
            `#交易合计：${of('交易').length}笔，商家实收共${sum('交易')}元，商家优惠共0.00元`,
            `#退款合计：${of('退款').length}笔，商家实收退款共${sum('退款')}元，商家优惠退款共0.00元`,
        ];
        const summary = ['门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）', `合计\t,\t,${of('交易').length}\t,${of('退款').length}\t,${sum('交易')}\t`];
        return this.#zip(date, '业务明细', details, summary);
    }

    #flowFiles(date, rows) {
        const side = (into) => rows.filter((row) => row.into === into);
        const sum = (into) => yuan((into ? 1 : -1) * side(into).reduce((total, { fen }) => total + fen, 0));
        const details = [
            FLOW_COLUMNS.join(),
            ...rows.map((row) => cells(FLOW_COLUMNS, {
                账务流水号: `F${row.platform_no}`, 业务流水号: row.platform_no, 商户订单号: row.no, 发生时间: spaced(row.at_ms),
                '收入金额（+元）': row.into ? yuan(row.fen) : '0.00', '支出金额（-元）': row.into ? '0.00' : yuan(-row.fen), '账户余额（元）': '0.00',
                交易渠道: '支付宝', 业务类型: row.name,
            })),
            `#${RULE}账务明细列表结束${RULE}`,
            `#支出合计：${side(false).length}笔，共${sum(false)}元`, `#收入合计：${side(true).length}笔，共${sum(true)}元`,
        ];
        return this.#zip(date, '账务明细', details, ['类型,笔数', `合计\t,${rows.length}\t`]);
    }

    #zip(date, name, details, summary) {
        const { alipaySellerId } = this.world.keys.ids;
        const [year, month, day] = date.split('-');
        const head = [
            `#支付宝${name}查询`, `#账号：[${alipaySellerId}0156]`,
            `#起始日期：[${year}年${month}月${day}日 00:00:00]   终止日期：[${year}年${month}月${day}日 24:00:00]`, `#${RULE}${name}列表${RULE}`,
        ];
        const tail = [`#导出时间：[${spaced(this.world.now())}]`];
        const file = (lines) => new Uint8Array(iconv.encode(`${[...head, ...lines, ...tail].join('\r\n')}\r\n`, 'gbk'));
        const base = `${alipaySellerId}0156_${year}${month}${day}_${name}`;
        return zipped([[`${base}.csv`, file(details)], [`${base}(汇总).csv`, file(summary)]]);
    }
}

// The names are in GBK, which the ZIP does not say. The package writes UTF-8 only, so names of the same length stand in for them at first.
function zipped(files) {
    const named = files.map(([name, content], index) => {
        const bytes = iconv.encode(name, 'gbk');
        return { bytes, placeholder: 'AB'[index].repeat(bytes.length), content };
    });
    const entries = Object.fromEntries(named.map(({ placeholder, content }) => [placeholder, content]));
    const archive = Buffer.from(zipSync(entries, { mtime: new Date(2020, 0, 1) }));
    for (const { bytes, placeholder } of named) {
        for (let at = archive.indexOf(placeholder); at >= 0; at = archive.indexOf(placeholder, at)) bytes.copy(archive, at);
    }
    return archive;
}

function tradeCells(row) {
    const { order, kind } = row;
    const refund = kind === '退款';
    const total = yuan(refund ? -row.fen : row.fen);
    // Half a fen counts up.
    const fee = Math.floor((row.fen * FEE_PER_MILLE + 500) / 1000);
    return {
        支付宝交易号: refund ? order.platform_no : row.platform_no, 商户订单号: refund ? order.order_no : row.no, 业务类型: kind,
        商品名称: order.request.subject, 创建时间: spaced(order.created_ms), 完成时间: spaced(row.at_ms), 对方账户: '*芳(159****5620)',
        '订单金额（元）': total, '商家实收（元）': total, '支付宝红包（元）': '0.00', '集分宝（元）': '0.00', '支付宝优惠（元）': '0.00', '商家优惠（元）': '0.00',
        '券核销金额（元）': '0.00', '商家红包消费金额（元）': '0.00', '卡消费金额（元）': '0.00', '退款批次号/请求号': refund ? row.no : '',
        '服务费（元）': yuan(refund ? fee : -fee), '分润（元）': '0.00', 备注: '',
    };
}

function cells(columns, values) {
    return columns.map((name) => `${String(values[name] ?? '').replaceAll(',', ' ')}\t`).join();
}
