import { ArrayMaxSize, IsArray, IsOptional, IsString, Length, Matches } from 'class-validator';

export class IssueToken {
  @IsString()
  @Length(1, 64)
  @Matches(/^[^\p{Cc}]*$/u, { message: 'user must not contain control characters' })
  user!: string;

  @IsOptional()
  @IsArray()
  @ArrayMaxSize(16)
  @IsString({ each: true })
  @Length(1, 32, { each: true })
  roles?: string[];
}
