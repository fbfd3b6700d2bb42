import { IsNotEmpty, IsString, Matches, MaxLength } from 'class-validator';

export class ChatRef {
  @IsString()
  @Matches(/^[\w-]{1,64}$/, { message: 'chatId must be 1 to 64 of the characters A-Z a-z 0-9 _ -' })
  chatId!: string;
}

export class SendMessage extends ChatRef {
  @IsString()
  @IsNotEmpty()
  @MaxLength(2_000)
  text!: string;
}
