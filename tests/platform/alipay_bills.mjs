// The bills of Alipay: a ZIP with two CSV files in GBK, the details and the sums, with comments and cells padded by tabs.

import { zipSync } from 'fflate';
import iconv from 'iconv-lite';

import { Bills } from './bills.mjs';
import { day, fromDay, spaced } from './china_time.mjs';
import { exactly, object, text } from './fields.mjs';
import { yuan } from './money.mjs';
import { business, protocol } from './world.mjs';

const READY_HOUR = 9;
const LINK_LIFE_MS = 30_000;
const TRADE_COLUMNS = '支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,'
    + '支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注';
const FUND_COLUMNS = '账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注';

export class AlipayBills extends Bills {
    constructor(platform) {
        super(platform.world);
        this.platform = platform;
        this.shape = object({ bill_type: exactly('trade', 'signcustomer'), bill_date: text({ max: 10, pattern: /^\d{4}-\d\d(-\d\d)?$/ }) });
    }

    link(asked) {
        this.shape(asked);
        const { bill_type, bill_date } = asked;
        const monthly = bill_date.length === 7;
        if (!monthly && !this.isDay(bill_date)) throw protocol('isv.invalid-parameter', 'bill_date', { level: 40002 });
        const missing = business('isp.bill_not_exist', '账单不存在', { level: 40004 });
        const ready = monthly ? this.#isMonthReady(bill_date) : this.isReady(bill_date, READY_HOUR);
        if (!ready || this.tampered(bill_date) === 'not_ready') throw missing;
        const entries = bill_type === 'trade' ? this.#trades() : this.#funds();
        const rows = monthly ? this.spoiled(bill_date, entries.filter(({ at_ms }) => day(at_ms).startsWith(bill_date))) : this.rows(bill_date, entries);
        if (rows.length === 0 && this.tampered(bill_date) !== 'empty') throw missing;
        const token = this.keep(this.#archive(bill_type, bill_date, rows), LINK_LIFE_MS);
        return { bill_download_url: `${this.world.baseUrl}/alipay/bill.zip?token=${token}` };
    }

    // A month's bill is made on the third of the next.
    #isMonthReady(month) {
        const [year, number] = month.split('-').map(Number);
        const next = new Date(Date.UTC(year, number, 3)).toISOString().slice(0, 10);
        return this.world.now() >= fromDay(next) + READY_HOUR * 3_600_000;
    }

    #trades() {
        const { trades, refunds } = this.platform;
        const paid = [...trades.all.values()].filter(({ paid_ms }) => paid_ms);
        const refunded = [...refunds.all.values()].filter(({ moves }) => moves);
        return [
            ...paid.map((order) => ({
                kind: '交易', at_ms: order.paid_ms, no: order.order_no, platform_no: order.platform_no, fen: order.amount_fen, order, request_no: '',
            })),
            ...refunded.map((refund) => ({
                kind: '退款', at_ms: refund.settled_ms, no: refund.order_no, platform_no: refund.order.platform_no, fen: refund.amount_fen,
                order: refund.order, request_no: refund.refund_no,
            })),
        ];
    }

    #funds() {
        const trades = this.#trades().map((row) => ({ ...row, income: row.kind === '交易', kind: row.kind === '交易' ? '在线支付' : '交易退款' }));
        const paid = [...this.platform.transfers.all.values()].filter(({ moves }) => moves);
        return trades.concat(paid.map((transfer) => ({
            kind: '转账', at_ms: transfer.settled_ms, no: transfer.transfer_no, platform_no: transfer.platform_no, fen: transfer.amount_fen, income: false,
        })));
    }

    #archive(bill_type, bill_date, rows) {
        const { alipaySellerId } = this.world.keys.ids;
        // There is no hash: a file that arrived damaged shows in sums that don't fit its rows.
        const summed = this.tampered(bill_date) === 'bad_hash' ? rows.concat(rows.slice(0, 1)) : rows;
        const detail = bill_type === 'trade' ? tradeLines(rows, summed) : fundLines(rows, summed);
        const head = ['#支付宝业务明细查询', `#账号：[${alipaySellerId}0156]`, `#起始日期：[${bill_date}]`];
        const foot = [`#导出时间：[${spaced(this.world.now())}]`];
        const details = [...head, '#-----业务明细列表-----', ...detail.lines, '#-----业务明细列表结束-----', ...detail.sums, ...foot];
        const sums = [...head, '#-----业务汇总列表-----', ...detail.sums, '#-----业务汇总列表结束-----', ...foot];
        const stem = `${alipaySellerId}0156_${bill_date.replaceAll('-', '')}`;
        const bytes = (lines) => iconv.encode(`${lines.join('\r\n')}\r\n`, 'gbk');
        return archive({ [`${stem}_业务明细.csv`]: bytes(details), [`${stem}_业务明细(汇总).csv`]: bytes(sums) });
    }
}

function tradeLines(rows, summed) {
    const refund = ({ kind }) => kind === '退款';
    const signed = (row) => yuan(refund(row) ? -row.fen : row.fen);
    const lines = rows.map((row) => cells([
        row.platform_no, row.no, row.kind, row.order.request.subject, spaced(row.order.created_ms), spaced(row.at_ms), '', '', '', '',
        '159****5620', signed(row), signed(row), '0.00', '0.00', '0.00', '0.00', '0.00', '', '0.00', '0.00', row.request_no, '0.00', '0.00', '',
    ]));
    const [back, paid] = [summed.filter(refund), summed.filter((row) => !refund(row))];
    const sums = [`#交易合计：${paid.length}笔，商家实收共${sum(paid)}元`, `#退款合计：${back.length}笔，商家实收退款共-${sum(back)}元`];
    return { lines: [TRADE_COLUMNS, ...lines], sums };
}

function fundLines(rows, summed) {
    const lines = rows.map((row) => cells([
        `A${row.platform_no}`, row.platform_no, row.no, row.order?.request.subject ?? '', spaced(row.at_ms), '159****5620',
        row.income ? yuan(row.fen) : '', row.income ? '' : yuan(-row.fen), '0.00', '支付宝', row.kind, '',
    ]));
    const [income, expense] = [summed.filter((row) => row.income), summed.filter((row) => !row.income)];
    const sums = [`#支出合计：${expense.length}笔，共-${sum(expense)}元`, `#收入合计：${income.length}笔，共${sum(income)}元`];
    return { lines: [FUND_COLUMNS, ...lines], sums };
}

function sum(rows) {
    return yuan(rows.reduce((total, row) => total + row.fen, 0));
}

function cells(values) {
    return values.map((value) => `${String(value).replaceAll(',', ' ')}\t`).join();
}

// An archive whose names are bytes in GBK, which no packer writes: it is made with names of the same length first.
function archive(files) {
    const entries = Object.entries(files).map(([name, content], index) => {
        const bytes = iconv.encode(name, 'gbk');
        return { bytes, draft: String.fromCharCode(0x61 + index).repeat(bytes.length), content: new Uint8Array(content) };
    });
    const packed = Buffer.from(zipSync(Object.fromEntries(entries.map(({ draft, content }) => [draft, content]))));
    for (const { bytes, draft } of entries) {
        for (let at = packed.indexOf(draft); at >= 0; at = packed.indexOf(draft, at + 1)) bytes.copy(packed, at);
    }
    return packed;
}
