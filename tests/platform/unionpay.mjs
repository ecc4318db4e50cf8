export class Unionpay {
    channel = 'unionpay';

    reset() {}

    owns() {
        return false;
    }
}
