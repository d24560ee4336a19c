// The commands that plugins declare, which come from strangers.
#include "common/CommandDescription.h"

#include "common/CommandOwners.h"
#include "fuzz/Replay.h"
#include "fuzz/commands/Checks.h"
#include "support/Errors.h"
#include "support/Text.h"

#include <doctest/doctest.h>

using namespace matrixos;
using namespace matrixos::common;
using matrixos::test::has;
using test::errorOf;

namespace {

mos_command good() {
  mos_command command{};
  command.words = "hooks add";
  command.help = "Adds one";
  command.method = "POST";
  command.path = "/hooks";
  return command;
}

std::vector<CommandDescription> readAll(const std::vector<mos_command> &commands) {
  mos_descriptor_v1 d{};
  d.struct_size = sizeof d;
  d.commands = commands.data();
  d.commands_count = static_cast<std::uint32_t>(commands.size());
  return CommandDescription::readAll(d);
}

/// Why it is refused; empty when it is not.
std::string refusal(const mos_command &command) {
  try {
    readAll({command});
    return "";
  } catch (const Error &e) {
    CHECK(e.status() == Status::FailedPrecondition);
    CHECK(e.reason() == "PLUGIN_DESCRIPTOR");
    return e.what();
  }
}

} // namespace

TEST_CASE("a command is copied with all that it says") {
  const mos_command_option options[] = {{"older-than", "TIME", "only these", MOS_OPTION_QUERY, 0},
                                        {"dry", nullptr, "change nothing", MOS_OPTION_BODY, 0}};
  mos_command from = good();
  from.arguments = "ID [NOTE]";
  from.path = "/hooks/{ID}";
  from.body = R"({"note": "{NOTE}"})";
  from.columns = "items[] THE_ID=id AGE=meta.createdAt:ago";
  from.done = "{ID} {some.member}";
  from.confirm = "{ID} {NOTE} {--dry}";
  from.progress = "/hooks/{ID}/progress";
  from.options = options;
  from.options_count = 2;
  from.flags = MOS_COMMAND_LONG;
  const CommandDescription command = readAll({from}).at(0);
  CHECK(command.wordList() == std::vector<std::string>{"hooks", "add"});
  REQUIRE(command.argumentList().size() == 2);
  CHECK(command.argumentList()[1].name == "NOTE");
  CHECK(command.argumentList()[1].optional);
  CHECK(command.listMember() == "items");
  REQUIRE(command.columnList().size() == 2);
  CHECK(command.columnList()[0].title == "THE ID");
  CHECK(command.columnList()[1].member == "meta.createdAt");
  CHECK(command.columnList()[1].form == CommandDescription::Column::Form::Ago);
  CHECK(command.options[0].member() == "olderThan");
  CHECK(command.options[1].isFlag());

  // The way through another process, and through the cache.
  json::Array array;
  array.add(command.toJson());
  const CommandDescription again = CommandDescription::readAll(array).at(0);
  CHECK(json::dump(*again.toJson()) == json::dump(*command.toJson()));
  std::vector<mos_command_option> list;
  CHECK(json::dump(*readAll({again.abi(list)}).at(0).toJson()) == json::dump(*command.toJson()));
}

TEST_CASE("each rule of a declaration, broken") {
  using Change = void (*)(mos_command &);
  static const mos_command_option noNumber[] = {{"limit", "N", "", MOS_OPTION_QUERY, 0}};
  static const mos_command_option taken[] = {{"json", "", "mine", MOS_OPTION_QUERY, 0}};
  static const mos_command_option csv[] = {{"csv", "", "mine", MOS_OPTION_QUERY, 0}};
  static const mos_command_option twice[] = {{"a", "", "x", MOS_OPTION_QUERY, 0}, {"a", "", "x", MOS_OPTION_QUERY, 0}};
  static const mos_command_option nowhere[] = {{"a", "A", "x", 0, 0}};
  static const mos_command_option both[] = {{"a", "A", "x", MOS_OPTION_QUERY | MOS_OPTION_BODY, 0}};
  static const mos_command_option flag[] = {{"a", "", "x", MOS_OPTION_QUERY | MOS_OPTION_NUMBER, 0}};
  static const mos_command_option shout[] = {{"A", "A", "x", MOS_OPTION_QUERY, 0}};
  static const mos_command_option maybe[] = {{"a", "A", "x", 0, 0}};
  static const mos_command_option inBody[] = {{"a", "A", "x", MOS_OPTION_BODY, 0}};
  static const mos_command_option escape[] = {{"a", "A", "\x1b[2J", MOS_OPTION_QUERY, 0}};
  static const std::string longText(513, 'x');
  struct Row {
    const char *says;
    Change change;
  };
  const Row rows[] = {
      {"", [](mos_command &) {}},
      {"one or two words", [](mos_command &c) { c.words = nullptr; }},
      {"one or two words", [](mos_command &c) { c.words = "a b c"; }},
      {"one or two words", [](mos_command &c) { c.words = "Hooks add"; }},
      {"one or two words", [](mos_command &c) { c.words = "hooks --add"; }},
      {"one or two words", [](mos_command &c) { c.words = "hooks $(reboot)"; }},
      {"one or two words", [](mos_command &c) { c.words = "a23456789012345678901234567890123"; }},
      {"words with control characters", [](mos_command &c) { c.words = "hooks\nadd"; }},
      {"no help", [](mos_command &c) { c.help = ""; }},
      {"help with control characters", [](mos_command &c) { c.help = "a\x1b[2J"; }},
      {"help with control characters", [](mos_command &c) { c.help = "a\xc2\x9b"; }},
      {"help with control characters, or that is no UTF-8", [](mos_command &c) { c.help = "a\xc2"; }},
      {"help of more than 512 bytes", [](mos_command &c) { c.help = longText.c_str(); }},
      {"a method that is none of", [](mos_command &c) { c.method = "get"; }},
      {"begin with one slash", [](mos_command &c) { c.path = nullptr; }},
      {"begin with one slash", [](mos_command &c) { c.path = "hooks"; }},
      {"begin with one slash", [](mos_command &c) { c.path = "//elsewhere/hooks"; }},
      {"begin with one slash", [](mos_command &c) { c.path = "/a b"; }},
      {"begin with one slash", [](mos_command &c) { c.path = "/a#b"; }},
      {"begin with one slash", [](mos_command &c) { c.path = "/\xc3\xa9"; }},
      {"path with {ID}", [](mos_command &c) { c.path = "/{ID}"; }},
      {"path with a brace that belongs to no", [](mos_command &c) { c.path = "/{ID"; }},
      {"path with a brace that belongs to no", [](mos_command &c) { c.path = "/}"; }},
      {"path with a brace that belongs to no", [](mos_command &c) { c.path = "/{}"; }},
      {"path with {ID}, which is no argument", [](mos_command &c) { c.arguments = "[ID]", c.path = "/{ID}"; }},
      {"progress with {ID}", [](mos_command &c) { c.progress = "/{ID}"; }},
      {"an argument \"id\"", [](mos_command &c) { c.arguments = "id"; }},
      {"an argument \"ID…\"", [](mos_command &c) { c.arguments = "ID…"; }},
      {"", [](mos_command &c) { c.arguments = "A [ID]", c.path = "/{A}[/{ID}/x]?all=1"; }},
      {"path with brackets", [](mos_command &c) { c.path = "/hooks[/x]"; }},
      {"path with brackets", [](mos_command &c) { c.arguments = "ID", c.path = "/hooks[/{ID}]"; }},
      {"path with brackets", [](mos_command &c) { c.arguments = "[A] [ID]", c.path = "/hooks[/{A}]", c.body = "{}"; }},
      {"path with brackets", [](mos_command &c) { c.arguments = "[ID]", c.path = "/hooks[-{ID}]"; }},
      {"path with brackets", [](mos_command &c) { c.arguments = "[ID]", c.path = "/hooks?a=[/{ID}]"; }},
      {"path with {ID}, which is no argument", [](mos_command &c) { c.arguments = "[ID]", c.path = "/{ID}[/{ID}]"; }},
      {"path with {A}, which is no argument",
       [](mos_command &c) { c.arguments = "[A] [ID]", c.path = "/x[/{A}/{ID}]"; }},
      {"begin with one slash", [](mos_command &c) { c.arguments = "[ID]", c.path = "[/{ID}]"; }},
      {"begin with one slash", [](mos_command &c) { c.arguments = "[ID]", c.path = "/hooks[/{ID}"; }},
      {"begin with one slash", [](mos_command &c) { c.arguments = "[ID]", c.path = "/hooks]/{ID}["; }},
      {"begin with one slash", [](mos_command &c) { c.arguments = "[ID]", c.path = "/a[/{ID}][/{ID}]"; }},
      {"begin with one slash", [](mos_command &c) { c.arguments = "[ID]", c.path = "/[/{ID}]"; }},
      {"", [](mos_command &c) { c.method = "GET", c.flags = MOS_COMMAND_CSV; }},
      {"MOS_COMMAND_CSV, which is for GET", [](mos_command &c) { c.flags = MOS_COMMAND_CSV; }},
      {"MOS_COMMAND_CSV, which is for GET",
       [](mos_command &c) { c.method = "GET", c.flags = MOS_COMMAND_CSV | MOS_COMMAND_STREAM; }},
      {"an option --csv and MOS_COMMAND_CSV",
       [](mos_command &c) { c.method = "GET", c.flags = MOS_COMMAND_CSV, c.options = csv, c.options_count = 1; }},
      {"", [](mos_command &c) { c.columns = "A=a:count B=b:usd C=c:bar"; }},
      {"bars elsewhere", [](mos_command &c) { c.columns = "A=a:bar B=b"; }},
      {"bars elsewhere", [](mos_command &c) { c.columns = "A=a:bar"; }},
      {"two arguments ID", [](mos_command &c) { c.arguments = "ID ID", c.path = "/{ID}"; }},
      {"needs B after one", [](mos_command &c) { c.arguments = "[A] B", c.path = "/{B}"; }},
      {"more than 8 arguments", [](mos_command &c) { c.arguments = "A B C D E F G H I"; }},
      {"an argument ID that is not in path or body", [](mos_command &c) { c.arguments = "ID", c.done = "{ID}"; }},
      {"a body, and GET has none", [](mos_command &c) { c.method = "GET", c.body = "{}"; }},
      {"no JSON object", [](mos_command &c) { c.body = "[1]"; }},
      {"no JSON object", [](mos_command &c) { c.body = "{\"a\":"; }},
      {"body with {ID}", [](mos_command &c) { c.body = R"({"a": {"b": ["{ID}"]}})"; }},
      {"columns of \"a b\"", [](mos_command &c) { c.columns = "a.b..c[] A=a"; }},
      {"a column that is not", [](mos_command &c) { c.columns = "ID"; }},
      {"a column that is not", [](mos_command &c) { c.columns = "ID=a:bytes"; }},
      {"a column that is not", [](mos_command &c) { c.columns = "ID=.a"; }},
      {"1 to 16 columns", [](mos_command &c) { c.columns = "items[]"; }},
      {"1 to 16 columns",
       [](mos_command &c) { c.columns = "A=a A=a A=a A=a A=a A=a A=a A=a A=a A=a A=a A=a A=a A=a A=a A=a A=a"; }},
      {"shown as it comes", [](mos_command &c) { c.columns = "A=a", c.flags = MOS_COMMAND_STREAM; }},
      {"shown as it comes", [](mos_command &c) { c.done = "a", c.flags = MOS_COMMAND_STREAM; }},
      {"confirm with {ID}", [](mos_command &c) { c.confirm = "{ID}"; }},
      {"done with {a b}", [](mos_command &c) { c.done = "{a b}"; }},
      {"null, or more than 32", [](mos_command &c) { c.options_count = 1; }},
      {"null, or more than 32", [](mos_command &c) { c.options = taken, c.options_count = UINT32_MAX; }},
      {"--limit without help", [](mos_command &c) { c.options = noNumber, c.options_count = 1; }},
      {"--json, which is matrixosctl's own", [](mos_command &c) { c.options = taken, c.options_count = 1; }},
      {"--a twice", [](mos_command &c) { c.options = twice, c.options_count = 2; }},
      {"--a that goes nowhere", [](mos_command &c) { c.options = nowhere, c.options_count = 1; }},
      {"the query and the body", [](mos_command &c) { c.options = both, c.options_count = 1; }},
      {"a flag that is required or a number", [](mos_command &c) { c.options = flag, c.options_count = 1; }},
      {"--A, which is not", [](mos_command &c) { c.options = shout, c.options_count = 1; }},
      {"path with {--a}", [](mos_command &c) { c.options = maybe, c.options_count = 1, c.path = "/{--a}"; }},
      {"for a body, and GET has none",
       [](mos_command &c) { c.method = "GET", c.options = inBody, c.options_count = 1; }},
      {"text of an option with control", [](mos_command &c) { c.options = escape, c.options_count = 1; }},
  };
  for (const Row &row : rows) {
    CAPTURE(row.says);
    mos_command command = good();
    row.change(command);
    const std::string says = refusal(command);
    CAPTURE(says);
    if (std::string(row.says) == "columns of \"a b\"")
      CHECK(has(says, "which names no member"));
    else if (*row.says == '\0')
      CHECK(says.empty());
    else
      CHECK(has(says, row.says));
  }
}

TEST_CASE("all commands of a plugin beside each other") {
  mos_command group = good(), other = good();
  group.words = "hooks";
  CHECK(has(errorOf([&] { readAll({good(), good()}); }).what(), "there are two commands \"hooks add\""));
  CHECK(readAll({good(), group}).size() == 2);
  other.words = "hooks drop";
  CHECK(readAll({good(), other}).size() == 2);
  mos_descriptor_v1 d{};
  d.struct_size = MOS_DESCRIPTOR_LEAST_SIZE;
  d.commands_count = 5; // what lies behind a descriptor of ABI 1.0
  CHECK(CommandDescription::readAll(d).empty());
  d.struct_size = sizeof d;
  CHECK(has(errorOf([&] { CommandDescription::readAll(d); }).what(), "null, or more than 64"));
  const std::vector<mos_command> many(65, good());
  CHECK(has(errorOf([&] { readAll(many); }).what(), "null, or more than 64"));
}

TEST_CASE("what another process says may be of any type") {
  for (const char *bad : {R"([1])", R"([{"words": 1}])", R"([{"words": "a", "options": {}}])",
                          R"([{"words": "a", "options": [1]}])", R"([{"words": "a", "flags": "x"}])", R"([{}])"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(CommandDescription::readAll(*json::parse(bad).extract<json::Array::Ptr>()), Error);
  }
}

TEST_CASE("words belong to whoever claims them first, and matrixosctl's own to nobody else") {
  CommandOwners owners;
  CommandDescription command;
  const auto claim = [&](const std::string &plugin, const std::string &words) {
    command.words = words;
    return owners.claim(plugin, command);
  };
  CHECK(claim("a", "hooks list").empty());
  CHECK(claim("b", "hooks list") == "the plugin a has \"hooks list\"");
  CHECK(claim("b", "hooks") == "the plugin a has \"hooks list\"");
  CHECK(claim("b", "hooks send").empty());
  CHECK(claim("c", "bells").empty());
  CHECK(claim("c", "bells ring").empty()); // its own
  CHECK(claim("d", "bells list") == "the plugin c has \"bells\"");
  CHECK(claim("c", "bells ring") == "the plugin c has \"bells ring\"");
  CHECK(claim("b", "plugins steal") == "matrixosctl has \"plugins\" itself");
  CHECK(claim("b", "help") == "matrixosctl has \"help\" itself");
}

TEST_CASE("a path has a part for an argument that may be left out") {
  mos_command from = good();
  from.arguments = "[ID]";
  from.path = "/hooks[/{ID}/log]?all=1";
  const CommandDescription command = readAll({from}).at(0);
  CHECK(command.pathWith(true) == "/hooks/{ID}/log?all=1");
  CHECK(command.pathWith(false) == "/hooks?all=1");
  CHECK(readAll({good()}).at(0).pathWith(true) == "/hooks");
}

TEST_CASE("templates") {
  const auto fill = [](const char *text) {
    return fillTemplate(text, [](const std::string &n) { return "<" + n + ">"; });
  };
  CHECK(fill("") == "");
  CHECK(fill("plain") == "plain");
  CHECK(fill("/{A}/{--b-c}/{d.e}") == "/<A>/<--b-c>/<d.e>");
  for (const char *bad : {"{", "}", "{}", "a{b", "a}b", "{a{b}}", "{{a}}"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(fill(bad), Error);
  }
}

TEST_CASE("what the fuzz target has in its corpus, and mutants of it") {
  matrixos::fuzz::replay(MATRIXOS_COMMANDS_CORPUS, common::fuzz::checkCommands, 3);
}
