// The settlement files of UnionPay: a ZIP whose ZM file has a line for each transaction, in columns of fixed width.

import { deflateSync } from 'node:zlib';

import { zipSync } from 'fflate';
import iconv from 'iconv-lite';

import { Bills } from './bills.mjs';
import { compact, day, fromDay } from './china_time.mjs';
import { exactly, text } from './fields.mjs';
import { settlementDay } from './unionpay.mjs';
import { business, protocol } from './world.mjs';

const READY_HOUR = 9;
const FEE_PER_MILLE = 6;
const DAY_MS = 24 * 3_600_000;
// As UnionPay's own demo program cuts a line; the columns that nothing is known for stay empty.
const WIDTHS = [
    3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21, 15, 1, 15, 32, 13, 13, 8, 32, 13, 13, 12,
    2, 1, 131,
];

export class UnionpayBills extends Bills {
    constructor(platform) {
        super(platform.world);
        this.platform = platform;
    }

    offer(asked) {
        this.platform.check(asked, { fileType: exactly('00'), settleDate: text({ min: 4, max: 4, pattern: /^\d{4}$/ }) });
        this.platform.checkNow(asked);
        const date = this.#date(asked.settleDate);
        const entries = this.#entries().filter(({ at_ms }) => settlementDay(at_ms) === date).sort((one, other) => one.at_ms - other.at_ms);
        const rows = this.spoiled(date, entries);
        if (rows.length === 0 || this.tampered(date) === 'not_ready' || !this.isReady(date, READY_HOUR)) throw business('98', '文件不存在');
        const packed = deflateSync(this.#zip(date, rows));
        // There is no hash, so what can be broken is the file.
        if (this.tampered(date) === 'bad_hash') packed[packed.length >> 1] ^= 0xff;
        const { merId } = asked;
        return { settleDate: asked.settleDate, fileType: '00', fileName: `${merId}_${date.replaceAll('-', '')}.zip`, fileContent: packed.toString('base64') };
    }

    // The year is not said: it is the last such day.
    #date(settleDate) {
        const year = Number(day(this.world.now()).slice(0, 4));
        const dates = [year, year - 1].map((each) => `${each}-${settleDate.slice(0, 2)}-${settleDate.slice(2)}`);
        const date = dates.find((each) => this.isDay(each) && fromDay(each) <= this.world.now() + DAY_MS);
        if (!date) throw protocol('10', 'settleDate');
        return date;
    }

    #entries() {
        const paid = [...this.platform.orders.all.values()].filter(({ paid_ms }) => paid_ms);
        const refunded = [...this.platform.refunds.all.values()].filter(({ moves }) => moves);
        return [
            ...paid.map((order) => ({ type: '01', at_ms: order.paid_ms, no: order.order_no, platform_no: order.platform_no, fen: order.amount_fen, orig: '' })),
            ...refunded.map((refund) => ({
                type: refund.request.txnType, at_ms: refund.settled_ms, no: refund.refund_no, platform_no: refund.platform_no, fen: refund.amount_fen,
                orig: refund.order.platform_no,
            })),
        ];
    }

    #zip(date, rows) {
        const { unionpayMerchantId } = this.world.keys.ids;
        const lines = rows.map((row) => this.#line(row, unionpayMerchantId));
        const name = (kind) => `INN${date.slice(2).replaceAll('-', '')}88${kind}_${unionpayMerchantId}`;
        const file = (content) => new Uint8Array(iconv.encode(content, 'gbk'));
        return zipSync({ [name('ZM')]: file(`${lines.join('\r\n')}\r\n`), [name('ZME')]: file('') }, { mtime: new Date(2020, 0, 1) });
    }

    #line({ type, at_ms, no, platform_no, fen, orig }, merchant) {
        // Half a fen counts up; a refund gives it back.
        const fee = String(Math.floor((fen * FEE_PER_MILLE + 500) / 1000)).padStart(12, '0');
        const cells = {
            0: 'S22', 1: '00010000', 2: '00010000', 3: platform_no.slice(-6), 4: compact(at_ms).slice(4), 5: '6226090000000048',
            6: String(fen).padStart(12, '0'), 7: '5811', 8: '01', 9: platform_no, 10: '03', 11: no, 12: '02', 15: `${type === '01' ? 'D' : 'C'}${fee}`,
            16: 'D000000000000', 19: type, 26: orig, 27: merchant,
        };
        return WIDTHS.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' ');
    }
}
