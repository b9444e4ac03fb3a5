//! What is odd about a paste, in words.

use keygate::Language;

/// A character or a word that does something else than it seems to, or text that was read otherwise
/// than it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    UnquotedHeader,
    NoColon,
    WideColon,
    NoValue,
    LineFeed,
    CmdSingleQuotes,
    CurlyQuote,
    Space,
    HeadUnended,
}

impl Note {
    pub(super) const fn text(self, language: Language) -> &'static str {
        let (en, zh) = match self {
            Self::UnquotedHeader => (
                "the header after -H is not in quotes, so curl sends none and takes the words after its name for \
                 URLs; write -H 'Authorization: Bearer KEY'",
                "-H 后面的请求头没有加引号,所以 curl 不会发送它,并把后面的词当成 URL;请写成 -H 'Authorization: Bearer KEY'",
            ),
            Self::NoColon => (
                "a header after -H has no colon, so curl does not send it; write -H 'Name: value'",
                "-H 后面的请求头没有冒号,curl 不会发送它;请写成 -H 'Name: value'",
            ),
            Self::WideColon => (
                "a header after -H has a full-width colon, which is none to curl, so it is not sent; type : instead",
                "-H 后面的请求头用了全角冒号“:”,curl 不认识它,所以不会发送;请改成半角 :",
            ),
            Self::NoValue => (
                "a header after -H has no value, so curl does not send it; is a variable empty?",
                "-H 后面的请求头没有值,curl 不会发送它;是不是变量为空?",
            ),
            Self::LineFeed => (
                "a header holds a line feed, which ends it on the wire, and two in a row end all headers; this is \
                 explained as the server reads it; remove the line feed (printf '%s' prints none)",
                "请求头里有换行符:在线路上它会结束这个请求头,连续两个会结束全部请求头;以下按服务器收到的内容解释;\
                 请去掉换行符(printf '%s' 不会输出换行)",
            ),
            Self::CmdSingleQuotes => (
                "the Windows command prompt passes single quotes on as they are, so they quote nothing; use double quotes",
                "Windows 命令提示符会原样传递单引号,它们不起引号作用;请用双引号",
            ),
            Self::CurlyQuote => (
                "a header holds a curly quote, which is sent as it is; type ' or \" instead, or leave it out",
                "请求头里有弯引号,它会被原样发送;请改成 ' 或 \",或去掉它",
            ),
            Self::Space => (
                "a no-break space or an invisible character stands between words or in a header; no shell takes it \
                 for a space; delete it and type a space",
                "单词之间或请求头里有不间断空格或不可见字符,shell 不会把它当作空格;请删掉它,重新输入空格",
            ),
            Self::HeadUnended => (
                "the empty line that ends a request head is missing, so headers may be missing too",
                "缺少表示请求头部结束的空行,所以也可能缺了请求头",
            ),
        };
        match language {
            Language::Zh => zh,
            _ => en,
        }
    }
}

/// Each at most once, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Vec<Note>);

impl Notes {
    pub(super) fn add(&mut self, note: Note) {
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Note> {
        self.0.iter().copied()
    }
}
