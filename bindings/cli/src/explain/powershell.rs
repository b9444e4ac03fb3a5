//! `Invoke-WebRequest` and `Invoke-RestMethod` of PowerShell, as browsers copy them and as people write them.

use super::curl::Request;
use super::note::Notes;
use super::paste::Pasted;
use super::url::{self, Url};
use crate::failure::{Failure, fail};

const COMMANDS: [&str; 4] = ["invoke-webrequest", "invoke-restmethod", "iwr", "irm"];

pub(super) fn is_one(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    text.split(|character: char| {
        character.is_whitespace() || matches!(character, ';' | '|' | '(' | '=')
    })
    .filter(|word| !word.is_empty())
    .take(200)
    .any(|word| COMMANDS.contains(&word))
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A bare word or a string.
    Word(String),
    /// `@{...}`: names and values in their order.
    Table(Vec<(String, String)>),
    /// `=`, where it stands alone.
    Equals,
    End,
}

/// The requests of the commands; what else the lines do is passed over.
pub(super) fn read(text: &[u8]) -> Result<Pasted, Failure> {
    let text = str::from_utf8(text).map_err(|_| malformed())?;
    let mut tokens = tokens(text)?.into_iter().peekable();
    let mut tables: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut requests = Vec::new();
    while let Some(token) = tokens.next() {
        let Token::Word(word) = token else { continue };
        if tokens.peek() == Some(&Token::Equals) {
            tokens.next();
            if let Some(Token::Table(table)) = tokens.peek() {
                tables.push((word.to_ascii_lowercase(), table.clone()));
            }
            continue;
        }
        if !COMMANDS.contains(&word.to_ascii_lowercase().as_str()) {
            continue;
        }
        let mut call = Vec::new();
        while let Some(token) = tokens.next_if(|token| *token != Token::End) {
            call.push(token);
        }
        requests.push(request(call, &tables)?);
    }
    if requests.is_empty() {
        return Err(malformed());
    }
    Ok(Pasted {
        requests,
        notes: Notes::default(),
    })
}

fn request(
    call: Vec<Token>,
    tables: &[(String, Vec<(String, String)>)],
) -> Result<Request, Failure> {
    let (mut address, mut method, mut agent) = (None, None, None);
    let (mut headers, mut body) = (Vec::new(), false);
    let mut call = call.into_iter();
    while let Some(token) = call.next() {
        let Token::Word(word) = token else {
            return Err(malformed());
        };
        let Some(name) = word.strip_prefix('-').map(str::to_ascii_lowercase) else {
            address.get_or_insert(word);
            continue;
        };
        match name.trim_end_matches(':') {
            "usebasicparsing"
            | "skipcertificatecheck"
            | "allowunencryptedauthentication"
            | "skiphttperrorcheck" => {}
            name @ ("uri" | "method" | "headers" | "body" | "contenttype" | "useragent"
            | "websession" | "outfile" | "timeoutsec" | "sessionvariable"
            | "maximumredirection" | "infile") => {
                let value = call.next().ok_or_else(malformed)?;
                match (name, value) {
                    ("uri", Token::Word(value)) => address = Some(value),
                    ("method", Token::Word(value)) => method = Some(value),
                    ("useragent", Token::Word(value)) => agent = Some(value),
                    ("contenttype", Token::Word(value)) => {
                        headers.push(("Content-Type".to_owned(), value));
                    }
                    ("headers", Token::Table(table)) => headers.extend(table),
                    ("headers", Token::Word(variable)) => {
                        let variable = variable.to_ascii_lowercase();
                        let table = tables.iter().rev().find(|(name, _)| *name == variable);
                        let (_, table) = table.ok_or_else(|| {
                            fail(
                                "PowerShell: -Headers is a variable that the text does not set; add the line that sets it to @{...}",
                                "PowerShell:-Headers 是一个变量,但文本中没有给它赋值;请加上把它设为 @{...} 的那一行",
                            )
                        })?;
                        headers.extend(table.clone());
                    }
                    ("body" | "infile", _) => body = true,
                    _ => {}
                }
            }
            _ => {
                return Err(fail(
                    "the PowerShell command has a parameter that is not known here; leave it out where it does not change \
                     the request, and write the others out in full",
                    "PowerShell 命令中有不认识的参数;如果它不改变请求,请去掉它;其他参数名请写完整",
                ));
            }
        }
    }
    let address = address.ok_or_else(|| {
        fail(
            "the PowerShell command names no URL",
            "PowerShell 命令中没有 URL",
        )
    })?;
    let bad = url::bad("PowerShell command, the URL", "PowerShell 命令的 URL");
    let url = Url::parse(address.as_bytes(), true).map_err(bad)?;
    let method = method.unwrap_or_else(|| if body { "POST" } else { "GET" }.to_owned());
    let mut list = vec![
        (b"Host".to_vec(), url.host.clone()),
        (
            b"User-Agent".to_vec(),
            agent
                .unwrap_or_else(|| "PowerShell".to_owned())
                .into_bytes(),
        ),
    ];
    // Browsers write HTTP/2's pseudo-headers too ("authority"); as header fields they carry no key.
    list.extend(
        headers
            .into_iter()
            .map(|(name, value)| (name.into_bytes(), value.into_bytes())),
    );
    Ok(Request {
        method: method.to_ascii_uppercase().into_bytes(),
        target: url.target(),
        headers: list,
    })
}

fn tokens(text: &str) -> Result<Vec<Token>, Failure> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\n' | ';' | '|' => tokens.push(Token::End),
            '`' if matches!(rest.peek(), Some('\n' | '\r')) => {
                // A line that goes on.
                while rest.next_if(|next| matches!(next, '\r')).is_some() {}
                rest.next();
            }
            '=' => tokens.push(Token::Equals),
            character if character.is_whitespace() => {}
            '#' => while rest.next_if(|next| *next != '\n').is_some() {},
            '@' if rest.peek() == Some(&'{') => {
                rest.next();
                tokens.push(Token::Table(table(&mut rest)?));
            }
            '"' | '\'' => tokens.push(Token::Word(string(character, &mut rest)?)),
            _ => {
                let mut word = String::from(character);
                let ends = |next: &char| {
                    next.is_whitespace() || matches!(next, ';' | '|' | '=' | '"' | '\'')
                };
                let mut depth = usize::from(character == '(');
                while let Some(next) = rest.next_if(|next| depth > 0 || !ends(next)) {
                    depth = match next {
                        '(' => depth + 1,
                        ')' => depth.saturating_sub(1),
                        _ => depth,
                    };
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    tokens.push(Token::End);
    Ok(tokens)
}

type Rest<'t> = std::iter::Peekable<std::str::Chars<'t>>;

/// A string up to its end; what a backquote escapes stands for itself but for `n`, `r` and `t`.
fn string(quote: char, rest: &mut Rest<'_>) -> Result<String, Failure> {
    let mut text = String::new();
    while let Some(character) = rest.next() {
        match character {
            character if character == quote => {
                if rest.next_if_eq(&quote).is_none() {
                    return Ok(text);
                }
                text.push(quote);
            }
            '`' if quote == '"' => text.push(match rest.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(other) => other,
                None => break,
            }),
            other => text.push(other),
        }
    }
    Err(fail(
        "PowerShell: a quote is opened and never closed",
        "PowerShell:引号没有闭合",
    ))
}

/// `name = value` between `;` or line ends, up to the brace.
fn table(rest: &mut Rest<'_>) -> Result<Vec<(String, String)>, Failure> {
    let mut pairs = Vec::new();
    let mut words: Vec<String> = Vec::new();
    while let Some(character) = rest.next() {
        match character {
            '}' | '\n' | ';' => {
                match words.as_slice() {
                    [] => {}
                    [name, value] => pairs.push((name.clone(), value.clone())),
                    _ => return Err(malformed()),
                }
                words.clear();
                if character == '}' {
                    return Ok(pairs);
                }
            }
            '"' | '\'' => words.push(string(character, rest)?),
            '=' => {}
            character if character.is_whitespace() => {}
            character => {
                let mut word = String::from(character);
                let ends = |next: &char| {
                    next.is_whitespace() || matches!(next, '=' | ';' | '}' | '"' | '\'')
                };
                while let Some(next) = rest.next_if(|next| !ends(next)) {
                    word.push(next);
                }
                words.push(word);
            }
        }
    }
    Err(fail(
        "PowerShell: @{ is opened and never closed",
        "PowerShell:@{ 没有闭合",
    ))
}

fn malformed() -> Failure {
    fail(
        "this looks like PowerShell, but no Invoke-WebRequest -Uri URL -Headers @{Name = \"value\"} is found in it; copy the \
         request in the browser's network panel with \"Copy as PowerShell\" or \"Copy as cURL\"",
        "这看起来是 PowerShell,但其中没有 Invoke-WebRequest -Uri URL -Headers @{Name = \"value\"};\
         请在浏览器的网络面板中用“复制为 PowerShell”或“复制为 cURL”",
    )
}
