//! The help in Chinese. The English is beside each option, where clap reads it.

use clap::Command;

const TEMPLATE: &str = "{about}\n\n用法: {usage}\n\n{all-args}{after-help}";

/// What a subcommand does, and what is said after its options; "" is the program itself.
const COMMANDS: [(&str, &str, &str); 6] = [
    ("", "说明并检查 keygate API key 网关如何判定请求", ""),
    (
        "explain",
        "说明一个请求为什么被允许或拒绝",
        "没有给出命令,或者写成 -- - 时,从标准输入读取命令。\n\
         退出状态:所有请求都被允许为 0,有请求被拒绝为 1,出错为 2。",
    ),
    (
        "check",
        "从标准输入逐行读取 JSON 格式的请求并判定",
        "一行输入:\n  \
         {\"config\":{\"auth_mode\":\"strict\",\"api_key\":\"sk-x\"},\"method\":\"GET\",\"target\":\"/\",\
         \"headers\":[[\"x-api-key\",\"sk-x\"]]}\n\
         字符串的每个字符代表一个字节,U+0000 到 U+00FF。未知字段是错误。无法使用的行,以及超过 64 MiB 的行,\
         在原位置回答 {\"error\":\"...\"}。标准错误是终端时,在那里显示每秒处理的行数。\n\n\
         退出状态:每一行都能使用为 0,有的行不能使用为 1,用法、读取或写入出错为 2。",
    ),
    (
        "lint",
        "指出配置中可能的错误",
        "退出状态:没有可说的为 0,有为 1,出错为 2。",
    ),
    ("keygen", "生成并打印一个新的 key", ""),
    ("help", "显示本帮助,或某个子命令的帮助", ""),
];

const OPTIONS: [(&str, &str); 14] = [
    (
        "config",
        "JSON 格式的网关配置:只有 proxy 那一段,或者包含它的文件",
    ),
    ("auth_mode", "off、strict、all_except_health 或 auto"),
    (
        "allow_lan_access",
        "让 auto 等于 all_except_health,而不是 off",
    ),
    (
        "api_key",
        "网关的 key;进程列表会显示参数,所以最好放在环境变量 KEYGATE_API_KEY 或文件里",
    ),
    (
        "api_key_file",
        "key 文件:每行一个 key,后面可以写 \" label=名称\"",
    ),
    ("lang", "en 或 zh;不写时由 LC_ALL、LC_MESSAGES 或 LANG 决定"),
    ("json", "每个请求输出一个 JSON 对象,每行一个"),
    ("raw", "不用命令,而用抓到的 HTTP/1.1 请求头;- 表示标准输入"),
    ("command", "curl 命令,可以是分开的词,也可以是一整个字符串"),
    ("explain", "在每行加上 \"findings\":值得告诉管理员的代码"),
    (
        "forward",
        "在每行加上 \"drop\":转发前要删除的请求头的序号;拒绝时为 null",
    ),
    ("lint", "在每行加上 \"lint\":该行配置中可能有错的代码"),
    ("help", "显示帮助"),
    ("version", "显示版本"),
];

/// `command` with its help in Chinese.
pub(crate) fn in_chinese(mut command: Command) -> Command {
    command.build();
    translate(command, "")
}

fn translate(command: Command, name: &str) -> Command {
    let mut command = command
        .help_template(TEMPLATE)
        .subcommand_help_heading("命令")
        .mut_args(|option| {
            let of_it = OPTIONS.iter().find(|(id, _)| option.get_id() == id);
            let heading = if option.is_positional() {
                "参数"
            } else {
                "选项"
            };
            let option = option.help_heading(heading);
            match of_it {
                Some((_, text)) => option.help(*text),
                None => option,
            }
        });
    if let Some((_, about, after)) = COMMANDS.iter().find(|(of, ..)| *of == name) {
        command = command.about(*about);
        if !after.is_empty() {
            command = command.after_help(*after);
        }
    }
    command.mut_subcommands(|subcommand| {
        let name = subcommand.get_name().to_owned();
        translate(subcommand, &name)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Every line of a help that is not English has a Chinese character in it, but for examples.
    #[test]
    fn all_of_it_is_translated() {
        let mut command = in_chinese(crate::program::Arguments::command());
        let mut helps = vec![command.render_help().to_string()];
        for name in ["explain", "check", "lint", "keygen"] {
            let subcommand = command.find_subcommand_mut(name).expect("a subcommand");
            helps.push(subcommand.render_help().to_string());
        }
        let is_chinese = |line: &str| line.contains(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        let is_example = |line: &str| line.starts_with("  {");
        let modes = "off、strict、all_except_health";
        for line in helps.iter().flat_map(|help| help.lines()) {
            let is_right =
                line.is_empty() || is_chinese(line) || is_example(line) || line.contains(modes);
            assert!(is_right, "{line}");
        }
        let mut named: Vec<_> = helps
            .iter()
            .flat_map(|help| help.lines())
            .filter(|line| line.contains("--"))
            .collect();
        named.dedup();
        assert!(named.len() >= 12, "{named:?}");
    }
}
