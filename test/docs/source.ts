// Asks the TypeScript compiler about snippets and sources. Packages mean their sources, as in all tests.
import { join } from 'node:path';
import ts from 'typescript';
import { ROOT } from './markdown.js';

export interface DocumentedOption {
  /** `limits.transports.hard`. */
  readonly name: string;
  /** A group of options: its members are options themselves. */
  readonly isGroup: boolean;
  /** The whole doc comment, `@default` included. */
  readonly comment: string;
}

const CONFIG = join(ROOT, 'test/tsconfig.json');

/** One program over virtual files in test/docs/ and whatever they import. */
export function createProgram(files: Readonly<Record<string, string>>, more: readonly string[] = []): ts.Program {
  const { config } = ts.readConfigFile(CONFIG, (path) => ts.sys.readFile(path)) as { config: unknown };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, join(ROOT, 'test'));
  const host = ts.createCompilerHost(options);
  const virtual = new Map(Object.entries(files).map(([name, text]) => [virtualPath(name), text]));
  const { readFile, fileExists } = host;
  host.readFile = (path) => virtual.get(path) ?? readFile.call(host, path);
  host.fileExists = (path) => virtual.has(path) || fileExists.call(host, path);
  host.getSourceFile = (path, languageVersion) => {
    const text = host.readFile(path);
    return text === undefined ? undefined : ts.createSourceFile(path, text, languageVersion);
  };
  const roots = [...virtual.keys(), ...more.map((path) => join(ROOT, path))];
  return ts.createProgram(roots, options, host);
}

/** What the compiler has against one virtual file, with the line that it is about. */
export function problemsOf(program: ts.Program, name: string): string[] {
  const file = program.getSourceFile(virtualPath(name));
  const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
  return found.map(({ messageText, start = 0 }) => {
    const line = file?.text.slice(0, start).split('\n').length ?? 0;
    return `${ts.flattenDiagnosticMessageText(messageText, '\n')} (${file?.text.split('\n')[line - 1]?.trim()})`;
  });
}

/** All options of an interface, those of its groups below it. */
export function optionsOf(program: ts.Program, file: string, interfaceName: string): DocumentedOption[] {
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(join(ROOT, file));
  const declaration = source?.statements.find(
    (one): one is ts.InterfaceDeclaration => ts.isInterfaceDeclaration(one) && one.name.text === interfaceName,
  );
  if (!declaration) throw new Error(`There is no interface ${interfaceName} in ${file}`);
  return membersOf(checker, checker.getTypeAtLocation(declaration), '');
}

/** Whether code in one source file calls what is declared in another. */
export function calls(program: ts.Program, from: string, to: string): boolean {
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(join(ROOT, from));
  const target = program.getSourceFile(join(ROOT, to));
  if (!source || !target) throw new Error(`The program has no ${source ? to : from}`);
  const visit = (node: ts.Node): boolean => {
    const isCall = ts.isCallExpression(node) || ts.isNewExpression(node);
    const called = isCall ? checker.getResolvedSignature(node)?.getDeclaration() : undefined;
    return called?.getSourceFile() === target || ts.forEachChild(node, (child) => visit(child) || undefined) === true;
  };
  return visit(source);
}

function membersOf(checker: ts.TypeChecker, type: ts.Type, prefix: string): DocumentedOption[] {
  return checker.getPropertiesOfType(type).flatMap((member) => {
    const name = `${prefix}${member.name}`;
    const tags = member.getJsDocTags(checker).map(({ name: tag, text }) => `@${tag} ${ts.displayPartsToString(text)}`);
    const comment = [ts.displayPartsToString(member.getDocumentationComment(checker)), ...tags].join('\n');
    const group = groupOf(checker, member);
    if (!group) return [{ name, isGroup: false, comment }];
    return [{ name, isGroup: true, comment }, ...membersOf(checker, group, `${name}.`)];
  });
}

/** The interface of ours behind `X | false | undefined`, if its name says that it is a set of options. */
function groupOf(checker: ts.TypeChecker, member: ts.Symbol): ts.Type | undefined {
  const type = checker.getTypeOfSymbol(member);
  const parts = type.isUnion() ? type.types : [type];
  const isNothing = (part: ts.Type): boolean =>
    (part.flags & ts.TypeFlags.Undefined) !== 0 || checker.typeToString(part) === 'false';
  const [only, ...others] = parts.filter((part) => !isNothing(part));
  if (!only?.symbol?.name.endsWith('Options') || others.length > 0) return undefined;
  return only.symbol.declarations?.some((one) => one.getSourceFile().fileName.startsWith(join(ROOT, 'libs/')))
    ? only
    : undefined;
}

function virtualPath(name: string): string {
  return join(ROOT, 'test/docs', name);
}
