// Which commands there are, and how what was typed is understood.
#include "ctl/Commands.h"

#include "common/CommandOwners.h"
#include "ctl/Completion.h"
#include "ctl/ManPage.h"
#include "ctl/Output.h"
#include "ctl/OwnCommands.h"
#include "ctl/Table.h"
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
  CHECK(has(script, "load) COMPREPLY=($(compgen -f"));
}

TEST_CASE("of commands that begin with the same words the longest is meant, and none behind --") {
  const std::vector<CommandSpec> commands{spec({"use"}, {"[NAME]"}, {{"by", "WHAT", "x"}}),
                                          spec({"use", "limit"}, {"NAME"}, {{"daily", "USD", "x"}}),
                                          spec({"other", "list"})};
  const auto words = [&](const std::vector<std::string> &typed) {
    const Invocation invocation = parse(commands, typed);
    return joined(invocation.command->words) + "|" + joined(invocation.arguments);
  };
  CHECK(words({"use"}) == "use|");
  CHECK(words({"use", "alice"}) == "use|alice");
  CHECK(words({"use", "limit", "alice", "--daily=1"}) == "use limit|alice");
  CHECK(words({"use", "limit", "limit"}) == "use limit|limit");
  CHECK(words({"use", "--by", "day", "--", "limit"}) == "use|limit");
  CHECK(words({"use", "--", "--odd"}) == "use|--odd");
  CHECK(words({"use", "limit", "--", "--odd"}) == "use limit|--odd");
  // Where they cannot be arguments they are words all the same.
  CHECK(words({"--", "use", "limit", "alice"}) == "use limit|alice");
  CHECK(words({"other", "--", "list"}) == "other list|");
  CHECK_THROWS_WITH_AS(parse(commands, {"use", "limit"}),
                       "\"use limit\" needs NAME: matrixosctl use limit NAME [--daily USD]", UsageError);
  CHECK_THROWS_WITH_AS(parse(commands, {"use", "limt", "alice"}),
                       "unexpected argument \"alice\": matrixosctl use [NAME] [--by WHAT]; did you mean \"use limit\"?",
                       UsageError);
  CHECK_THROWS_WITH_AS(parse(commands, {"use", "--", "limit", "alice"}),
                       "unexpected argument \"alice\": matrixosctl use [NAME] [--by WHAT]", UsageError);
  CHECK_THROWS_AS(parse(commands, {"use", "alice", "--daily=1"}), UsageError);
  CHECK(has(helpFor(commands, {"use"}), "  use limit NAME [--daily USD]"));
  CHECK(has(helpFor(commands, {"use"}), "  use [NAME] [--by WHAT]"));
  CHECK_FALSE(has(helpFor(commands, {"use", "limit"}), "  use [NAME]"));
}

TEST_CASE("bars take what the terminal leaves, are as long as their share, and never nothing for something") {
  const auto table = [](std::size_t width, bool utf8) {
    Table made({"DAY", "USD"}, {false, true});
    made.add({"1", "12.5"});
    made.add({"2", "0"});
    made.add({"3", "0.1"});
    made.addBars("SHARE", {12.5, 0, 0.1}, width, utf8);
    std::ostringstream out;
    made.print(out);
    return out.str();
  };
  CHECK(table(21, false) == "DAY   USD  SHARE\n1    12.5  ##########\n2       0  \n3     0.1  #\n");
  CHECK(table(21, true) == "DAY   USD  SHARE\n1    12.5  ██████████\n2       0  \n3     0.1  ▏\n");
  CHECK(table(1, false) == table(19, false)); // eight at least
  CHECK(table(1000, false) == table(51, false));
  Table none({"DAY"});
  none.addBars("SHARE", {}, 80, true);
  std::ostringstream out;
  none.print(out);
  CHECK(out.str() == "DAY  SHARE\n");
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
