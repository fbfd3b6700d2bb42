import { Catch, HttpException, type ArgumentsHost } from '@nestjs/common';
import { BaseWsExceptionFilter, WsException } from '@nestjs/websockets';

/** The filter that Nest's documentation recommends: translate, then leave the answer to the base class. */
@Catch()
export class WsErrorFilter extends BaseWsExceptionFilter {
  override catch(exception: unknown, host: ArgumentsHost): void {
    const isHttp = exception instanceof HttpException;
    super.catch(isHttp ? new WsException(exception.message) : exception, host);
  }
}
