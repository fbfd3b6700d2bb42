import { Body, Controller, HttpCode, Post, UseGuards } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { Throttle } from '@nestjs/throttler';
import { DevelopmentOnlyGuard } from './development-only.guard.js';
import { IssueToken } from './issue-token.dto.js';

const TOKEN_LIFE_MS = 3_600_000;

/** Stands in for a login: whoever asks gets a token for any name. Only with the development secret. */
@Controller('auth')
@UseGuards(DevelopmentOnlyGuard)
export class AuthController {
  constructor(private readonly jwt: JwtService) {}

  /** `expiresAt` is Unix time in milliseconds. */
  @Post('token')
  @HttpCode(200)
  @Throttle({ default: { ttl: 10_000, limit: 100 } })
  async issue(@Body() { user, roles = [] }: IssueToken): Promise<{ token: string; expiresAt: number }> {
    const issuedAt = Math.floor(Date.now() / 1_000);
    const exp = issuedAt + TOKEN_LIFE_MS / 1_000;
    const token = await this.jwt.signAsync({ sub: user, roles, iat: issuedAt, exp });
    return { token, expiresAt: exp * 1_000 };
  }
}
