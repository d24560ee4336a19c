// Which commands there are, and how what was typed is understood.
#include "ctl/Commands.h"

#include "common/CommandOwners.h"
#include "ctl/Completion.h"
#include "ctl/ManPage.h"
#include "ctl/Output.h"
#include "ctl/OwnCommands.h"
#include "support/Text.h"

#include <doctest/doctest.h>

#include <set>
#include <sstream>

using namespace matrixos;
using namespace matrixos::ctl;
using matrixos::test::has;

namespace {

CommandSpec spec(std::vector<std::string> words, std::vector<std::string> arguments = {},
                 std::vector<OptionSpec> options = {}) {
  return {std::move(words), std::move(arguments), std::move(options), "Does it", {}, "plugin", {}};
}

} // namespace

TEST_CASE("the words that plugins cannot have are those of matrixosctl's own commands") {
  Commands commands({});
  std::set<std::string> firsts;
  for (const CommandSpec &command : ownCommands(commands))
    firsts.insert(command.words[0]);
  const auto &words = common::CommandOwners::builtInWords();
  CHECK(std::set<std::string>(words.begin(), words.end()) == firsts);
}

TEST_CASE("an option is that of the command that was typed, also when another one means something else by it") {
  const std::vector<CommandSpec> commands{spec({"other"}, {}, {{"user", "", "a flag"}}),
                                          spec({"a", "add"}, {"NAME"}, {{"user", "ID", "a value"}}),
                                          spec({"a", "list"}, {}, {{"user", "", "a flag"}})};
  CHECK(parse(commands, {"a", "add", "x", "--user", "5"}).get("user") == "5");
  CHECK(parse(commands, {"--user", "5", "a", "add", "x"}).arguments == std::vector<std::string>{"x"});
  CHECK(parse(commands, {"a", "--user", "list"}).command->words[1] == "list");
  CHECK_THROWS_AS(parse(commands, {"other", "--user=5"}), UsageError);
}

TEST_CASE("arguments are completed by the list of the same group, else of the same plugin") {
  CommandSpec list = spec({"things", "list"}), others = spec({"rest", "list"}), foreign = spec({"aliens", "list"});
  list.lists = others.lists = foreign.lists = "ID";
  foreign.owner = "somebody-else";
  const CommandSpec show = spec({"things", "show"}, {"ID"}), drop = spec({"dust", "drop"}, {"ID"});
  const CommandSpec other = spec({"dust", "blow"}, {"NAME"}), file = spec({"load"}, {"[FILE]"});
  const std::string script = completion({foreign, others, list, show, drop, other, file}, "bash");
  CHECK(has(script, "'things show') COMPREPLY=($(compgen -W \"$(matrixosctl things list --quiet"));
  CHECK(has(script, "'dust drop') COMPREPLY=($(compgen -W \"$(matrixosctl rest list --quiet"));
  CHECK_FALSE(has(script, "'dust blow') COMPREPLY"));
  CHECK_FALSE(has(script, "aliens list"));
  CHECK(has(script, "'load'|'load '*) COMPREPLY=( $(compgen -f"));
}

TEST_CASE("help that plugins wrote stays text") {
  CommandSpec evil = spec({"evil"}, {}, {{"o", "", "a 'quote' and \\"}});
  evil.help = "ends in \\";
  CHECK(has(completion({evil}, "fish"), R"(-d 'ends in \\')"));
  CHECK(has(completion({evil}, "fish"), R"(-d 'a \'quote\' and \\')"));
  CHECK(has(completion({evil}, "zsh"), R"('--o:a '\''quote'\'' and \')"));
  evil.help = ".so /etc/passwd … é 😀 \\";
  CHECK(has(manPage({evil}, "1"), "\n\\&.so /etc/passwd \\|.\\|.\\|. \\[u00E9] \\[u1F600] \\e.\n"));
}

TEST_CASE("members that lie deeper, and values of any kind, in one line") {
  const auto object = json::parseObject(R"({"a": {"b": {"c": 1}}, "t": true, "n": null, "l": [1, "x"], "s": "text"})");
  CHECK(memberText(*object, "a.b.c") == "1");
  CHECK(memberText(*object, "a.b") == R"({"c":1})");
  CHECK(memberText(*object, "a.b.c.d") == "");
  CHECK(memberText(*object, "s.x") == "");
  CHECK(memberText(*object, "nothing") == "");
  CHECK(memberText(*object, "t") == "true");
  CHECK(memberText(*object, "n") == "");
  CHECK(memberText(*object, "l") == R"([1,"x"])");
}
