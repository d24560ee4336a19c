#include "Kit.h"
#include "fuzz/Replay.h"
#include "fuzz/ai-gateway/Checks.h"

#include <vector>

using namespace matrixos::gateway;
using namespace matrixos::gateway::test;

namespace {

std::string with(std::string_view more) {
  return body("claude-sonnet-5", more, 10);
}
std::string tools(std::string_view list) {
  return with(",\"tools\":[" + std::string(list) + "]");
}
std::string messages(std::string_view blocks) {
  return R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":[)" + std::string(blocks) + "]}]}";
}
RequestRules allowing(std::vector<std::string> serverTools, std::vector<std::string> betas, bool worstCase = true) {
  RequestRules rules;
  rules.worstCase = worstCase;
  rules.serverTools = AllowList(std::move(serverTools));
  rules.betas = AllowList(std::move(betas));
  return rules;
}
std::uint64_t thirdOf(const std::string &text) {
  return (text.size() + 2) / 3;
}

} // namespace

TEST_CASE("request: what it asks for") {
  const MessageRequest all = parsed(
      R"({"max_tokens":1024,"stream":true,"speed":"fast","inference_geo":"us","service_tier":"auto","thinking":{"type":"enabled",)"
      R"("budget_tokens":2000},"metadata":{"user_id":"user_\u00e9"},"messages":[{"role":"user","content":"{\"model\":\"x\"}"}],)"
      R"("temperature":0.5,"stop_sequences":["a"],"mcp_servers":[],"tools":[{"name":"model","input_schema":{"max_tokens":{"stream":1}}}],)"
      R"("\u006dodel":"claude-\u0073onnet-5"})");
  CHECK(all.model == "claude-sonnet-5");
  CHECK(all.maxTokens == 1024);
  CHECK(all.stream);
  CHECK(all.fast);
  CHECK(all.geo == "us");
  CHECK(all.serverTools.empty());
  CHECK_FALSE(all.unbounded);
  CHECK(all.caching == MessageRequest::Caching::None);

  const MessageRequest plain = parsed(R"({"model":"m","max_tokens":0,"stream":null,"speed":"standard"})");
  CHECK_FALSE(plain.stream);
  CHECK_FALSE(plain.fast);
  CHECK(plain.maxTokens == 0);
}

TEST_CASE("request: what is no request is refused in Anthropic's words") {
  const std::pair<std::string, const char *> rows[] = {
      {"", "The request body is not valid JSON"},
      {"{", "The request body is not valid JSON"},
      {with("") + "x", "The request body is not valid JSON"},
      {"\xEF\xBB\xBF" + with(""), "The request body is not valid JSON"},
      {std::string("{\"model\":\"m\",\"max_tokens\":1}\0", 29), "The request body is not valid JSON"},
      {R"({"model":"m","max_tokens":NaN})", "The request body is not valid JSON"},
      {R"({"model":"m","max_tokens":1,})", "The request body is not valid JSON"},
      {R"({'model':"m","max_tokens":1})", "The request body is not valid JSON"},
      {"{\"model\":\"m\",\"max_tokens\":1,\"x\":\"\n\"}", "The request body is not valid JSON"},
      {R"({"model":"m","max_tokens":1,"x":)" + std::string(300, '[') + std::string(300, ']') + "}",
       "The request body is not valid JSON"},
      {"{\"model\":\"m\",\"max_tokens\":1,\"x\":\"\xff\"}", "The request body is not valid UTF-8"},
      {"[]", "The request body has to be a JSON object"},
      {"{}", "model: Field required"},
      {R"({"model":"m"})", "max_tokens: Field required"},
      {R"({"model":null,"max_tokens":1})", "model: Input should be a valid string"},
      {R"({"model":["m"],"max_tokens":1})", "model: Input should be a valid string"},
      {R"({"model":"","max_tokens":1})", "model: String should have from 1 to 256 characters"},
      {R"({"model":")" + std::string(257, 'm') + R"(","max_tokens":1})",
       "model: String should have from 1 to 256 characters"},
      {R"({"model":"m","max_tokens":1,"stream":"true"})", "stream: Input should be a valid boolean"},
      {R"({"model":"m","max_tokens":1,"stream":1})", "stream: Input should be a valid boolean"}};
  for (const auto &[text, wanted] : rows) {
    CAPTURE(text);
    CHECK(refused(text) == wanted);
  }
  for (const char *value : {"-1", "1.0", "1e3", "4294967296", "\"1\"", "true", "null", "[]", "{}"}) {
    CAPTURE(value);
    CHECK(refused(R"({"model":"m","max_tokens":)" + std::string(value) + "}") ==
          "max_tokens: Input should be a valid integer");
  }
}

TEST_CASE("request: what it says twice is refused, however it is spelt") {
  const std::pair<std::string, const char *> rows[] = {{with(R"(,"model":"claude-haiku-5-5")"), "model"},
                                                       {with(R"(,"\u006dodel":"claude-haiku-5-5")"), "model"},
                                                       {with(R"(,"mod\u0065l":null)"), "model"},
                                                       {with(R"(,"max_tokens":1)"), "max_tokens"},
                                                       {with(R"(,"max\u005ftokens":1)"), "max_tokens"},
                                                       {with(R"(,"stream":true,"stream":false)"), "stream"},
                                                       {with(R"(,"stream":true,"\u0073tream":false)"), "stream"},
                                                       {with(R"(,"tools":[],"tools":[])"), "tools"},
                                                       {with(R"(,"speed":"fast","speed":"standard")"), "speed"}};
  for (const auto &[text, member] : rows) {
    CAPTURE(text);
    CHECK(refused(text) == std::string(member) + ": The request says it twice");
  }
  CHECK(refused(tools(R"({"type":"custom"},{"type":"web_search_20250305","max_uses":1,"max_uses":100})")) ==
        "tools.1.max_uses: The request says it twice");
  CHECK(refused(tools(R"({"type":"advisor_20260301","type":"custom"})")) == "tools.0.type: The request says it twice");
  // Nor may a block be one thing to us and another to the upstream, wherever it stands.
  const std::string far = R"("source":{"type":"url","url":"https://x"})";
  const std::string near = R"("source":{"type":"text","data":"x"})";
  const std::pair<std::string, const char *> blocks[] = {
      {R"({"type":"document","type":"text","text":"x",)" + far + "}", "type"},
      {R"({"type":"document","t\u0079pe":"text","text":"x",)" + far + "}", "type"},
      {R"({"type":"document","type":null,)" + far + "}", "type"},
      {R"({"type":"document",)" + far + "," + near + "}", "source"},
      {R"({"type":"document",)" + near + R"(,"source":"x"})", "source"},
      {R"({"type":"document","source":{"type":"url","url":"https://x","type":"text"}})", "type"},
      {R"({"type":"image","source":{"type":"base64","data":"A","data":"AAAA"}})", "data"},
      {R"({"type":"document","source":{"type":"content","content":[],"content":"x"}})", "content"}};
  for (const auto &[block, member] : blocks) {
    for (const std::string &text :
         {messages(block), messages(R"({"type":"text","text":"x"},)" + block),
          messages(R"({"type":"tool_result","content":[)" + block + "]}"),
          messages(R"({"type":"tool_result","content":[{"type":"document","source":{"type":"content","content":[)" +
                   block + "]}}]}")}) {
      CAPTURE(text);
      CHECK(refused(text) == "messages.content." + std::string(member) + ": The request says it twice");
    }
  }
  // Elsewhere, nobody goes by it.
  CHECK(refused(with(R"(,"metadata":{"model":"a","model":"b"})")).empty());
  CHECK(
      refused(messages(R"({"type":"tool_use","input":{"type":1,"type":2}},{"type":"text"},{"type":"text"})")).empty());
}

TEST_CASE("request: nothing is hidden behind what is nested deeply") {
  const std::string search = R"({"type":"web_search_20250305","max_uses":3})";
  for (std::size_t depth : {6U, 7U, 8U, 9U, 10U, 40U, 250U}) {
    CAPTURE(depth);
    for (const auto &[open, close] : std::initializer_list<std::pair<std::string, std::string>>{
             {"[", "]"}, {"[{\"max_tokens\":1,\"tools\":", "}]"}, {R"({"content":)", "}"}}) {
      const std::size_t times = open == "[{\"max_tokens\":1,\"tools\":" ? depth / 2 : depth;
      std::string deep;
      for (std::size_t i = 0; i < times; ++i)
        deep += open;
      deep += R"([{"type":"advisor_20260301","max_uses":9,"ttl":"5m"}])";
      for (std::size_t i = 0; i < times; ++i)
        deep += close;
      // Before, between and behind what counts.
      const std::string text = R"({"a":)" + deep + R"(,"model":"m","b":)" + deep + R"(,"tools":[{"input_schema":)" +
                               deep + R"(},)" + search + R"(,{"input_schema":)" + deep + R"(}],"c":)" + deep +
                               R"(,"max_tokens":7,"d":)" + deep + R"(,"stream":true,"e":)" + deep + "}";
      const MessageRequest taken = parsed(text, {}, "");
      CHECK(taken.model == "m");
      CHECK(taken.maxTokens == 7);
      CHECK(taken.stream);
      REQUIRE(taken.serverTools.size() == 1);
      CHECK(taken.serverTools[0].maxUses == 3U);
      CHECK(refused(text.substr(0, text.size() - 1) + R"(,"max_tokens":8})") ==
            "max_tokens: The request says it twice");
      CHECK(refused(R"({"a":)" + deep + R"(,"tools":[{"a":)" + deep +
                    R"(,"type":"advisor_20260301"}],"model":"m","max_tokens":1})") ==
            "tools.0: the server tool `advisor_20260301` is not allowed here, since nothing limits what it costs");
    }
  }
}

TEST_CASE("request: server tools") {
  const std::string client =
      R"({"name":"f","input_schema":{}},{"type":"custom","name":"g"},{"type":"bash_20250124","name":"bash"},)"
      R"({"type":"text_editor_20250728"},{"type":"computer_20251124"},{"type":"memory_20250818"})";
  const std::string search = R"({"type":"web_search_20250305","name":"web_search","max_uses":3})";
  const std::string endless = R"({"type":"web_search_20250305","name":"web_search","max_uses":null})";
  const std::string fetch = R"({"type":"web_fetch_20250910","max_uses":2,"max_content_tokens":5000})";
  CHECK(refused(tools(client)).empty());
  CHECK(refused(tools(search + "," + fetch)).empty());
  CHECK(refused(tools(client + "," + endless)) ==
        "tools.6: the server tool `web_search_20250305` is allowed with `max_uses` alone");
  CHECK(refused(tools(R"({"type":"web_fetch_20250910","max_uses":2})")) ==
        "tools.0: the server tool `web_fetch_20250910` is allowed with `max_uses` and `max_content_tokens` alone");
  for (const char *type : {"advisor_20260301", "code_execution_20250825", "tool_search_tool_regex_20251119",
                           "mcp_toolset", "new_thing", ""}) {
    CAPTURE(type);
    CHECK(refused(tools(R"({"type":")" + std::string(type) + R"(","max_uses":1})")) ==
          "tools.0: the server tool `" + std::string(type) +
              "` is not allowed here, since nothing limits what it costs");
  }
  CHECK(refused(with(R"(,"mcp_servers":[{"type":"url","url":"https://x"}])")) ==
        "tools.0: the server tool `mcp_toolset` is not allowed here, since nothing limits what it costs");
  CHECK(refused(tools(R"({"type":"w\u0065b_search_20250305"})")).find("web_search_20250305") != std::string::npos);
  CHECK(refused(tools(R"({"type":7})")) == "tools.0.type: Input should be a valid string");
  CHECK(refused(tools(R"({"type":"web_search_20250305","max_uses":1.5})")) ==
        "tools.0.max_uses: Input should be a valid integer");

  // A list says which there are, in both modes; it may allow what has no bound.
  for (const bool worstCase : {true, false}) {
    const RequestRules rules = allowing({"web_search", "code_execution_20250825"}, {}, worstCase);
    CHECK(refused(tools(search), rules).empty());
    CHECK_FALSE(parsed(tools(search), rules, "").unbounded);
    CHECK(parsed(tools(endless), rules, "").unbounded);
    CHECK(parsed(tools(R"({"type":"code_execution_20250825"})"), rules, "").unbounded);
    CHECK(refused(tools(fetch), rules) == "tools.0: the server tool `web_fetch_20250910` is not allowed here");
    CHECK_FALSE(refused(tools(R"({"type":"code_execution_20260120"})"), rules).empty());
    CHECK_FALSE(refused(tools(R"({"type":"web_searcher_20260120"})"), rules).empty());
    CHECK_FALSE(refused(tools(search), allowing({}, {}, worstCase)).empty());
  }
  RequestRules loose;
  loose.worstCase = false;
  CHECK(parsed(tools(endless), loose, "").unbounded);
}

TEST_CASE("request: betas") {
  const RequestRules rules = allowing({}, {"context-management", "compact-2026-01-12"});
  const std::string compaction =
      with(R"(,"context_management":{"edits":[{"type":"clear_tool_uses_20250919"},{"type":"compact_20260112"}]})");
  const std::string fallbacks = with(R"(,"fallbacks":[{"model":"claude-opus-5"}])");
  CHECK(refused(with(""), rules, "context-management-2025-06-27, compact-2026-01-12,").empty());
  CHECK(refused(with(""), rules, "context-management-2025-06-27,files-api-2025-04-14") ==
        "anthropic-beta: `files-api-2025-04-14` is not allowed here");
  CHECK_FALSE(refused(with(""), rules, "compact-2026-02-12").empty());
  CHECK(refused(with(""), {}, "anything-2025-04-14,compact-2026-01-12").empty());
  CHECK(refused(compaction, {}, "compact-2026-01-12") ==
        "context_management: `compact` is not allowed here, since nothing limits what it costs");
  CHECK_FALSE(refused(compaction, rules, "context-management-2025-06-27").empty());
  CHECK(parsed(compaction, rules, "compact-2026-01-12").unbounded);
  CHECK_FALSE(refused(fallbacks, {}, "server-side-fallback-2026-06-01").empty());
  CHECK_FALSE(refused(with(R"(,"fallbacks":"default")"), {}, "server-side-fallback-2026-06-01").empty());
  CHECK(parsed(fallbacks, allowing({}, {"*"}), "server-side-fallback-2026-06-01").unbounded);
  CHECK(refused(with(R"(,"context_management":{"edits":[{"type":"clear_thinking_20251015"}]},"fallbacks":null)"), {})
            .empty());
  RequestRules loose;
  loose.worstCase = false;
  CHECK(parsed(compaction, loose, "compact-2026-01-12").unbounded);
}

TEST_CASE("request: how much it may cache") {
  using Caching = MessageRequest::Caching;
  const auto caching = [](const std::string &block) { return parsed(messages(block)).caching; };
  CHECK(caching(R"({"type":"text","text":"x","cache_control":{"type":"ephemeral"}})") == Caching::FiveMinutes);
  CHECK(caching(R"({"type":"text","text":"x","cache_control":{"type":"ephemeral","ttl":"5m"}})") ==
        Caching::FiveMinutes);
  CHECK(
      caching(
          R"({"type":"text","text":"x","cache_control":{"ttl":"1\u0068"}},{"type":"text","cache_control":{"ttl":"5m"}})") ==
      Caching::Hour);
  CHECK(caching(R"({"type":"text","text":"x","cache_control":null})") == Caching::None);
  CHECK(parsed(with(R"(,"cache_control":{"type":"ephemeral","ttl":"1h"})")).caching == Caching::Hour);
  CHECK(
      caching(
          R"({"type":"tool_result","content":[{"type":"document","source":{"type":"content","content":[{"cache_control":{"ttl":"1h"}}]}}]})") ==
      Caching::Hour);
}

TEST_CASE("request: how long its prompt may be") {
  const std::string image = R"({"type":"image","source":{"type":"base64","media_type":"image/png","data":")" +
                            std::string(300'000, 'A') + "\"}}";
  const auto tokens = [](const std::string &blocks) { return parsed(messages(blocks)).promptTokens; };
  const std::string empty = messages("");
  CHECK(tokens("") == thirdOf(empty));
  CHECK(tokens(image) == (messages(image).size() - 300'000 + 2) / 3 + 5'000);
  CHECK(tokens(R"({"type":"tool_result","content":[)" + image + "," + image + "]}") < 11'000);
  CHECK(tokens(R"({"type":"image","source":{"type":"url","url":"https://x"}})") > 5'000);
  // What only looks like a picture is text.
  CHECK(tokens(R"({"type":"tool_use","input":)" + image + "}") > 100'000);
  CHECK(tokens(R"({"type":"text","source":{"type":"base64","data":")" + std::string(300'000, 'A') + "\"}}") > 100'000);
  CHECK(tokens(R"({"type":"image","source":{"type":"base64","data":"A"},"data":")" + std::string(300'000, 'A') +
               "\"}") > 100'000);
  CHECK(tokens(R"({"type":"image","source":{"type":"base64","data":"A"}},{"type":"text","text":")" +
               std::string(300'000, 'A') + "\"}") > 100'000);
  // A page that is no text may be short in bytes, and a reference is.
  for (const char *source : {R"({"type":"base64","media_type":"application/pdf","data":"A"})",
                             R"({"type":"url","url":"https://x"})", R"({"type":"file","file_id":"file_1"})"}) {
    CAPTURE(source);
    CHECK(tokens(R"({"type":"document","source":)" + std::string(source) + "}") > 1'000'000);
  }
  CHECK(tokens(R"({"type":"document","source":{"type":"text","data":"hello"}})") < 100);
  // Both count wherever a message can hold them: in a document of blocks, in a tool's result, in a page that was
  // fetched.
  const std::string linked = R"({"type":"image","source":{"type":"url","url":"https://x"}})";
  const std::string blocks = R"({"type":"document","source":{"type":"content","content":[)" + linked + "]}}";
  const std::string result = R"({"type":"tool_result","content":[)" + blocks + "," + linked + "]}";
  CHECK(tokens(blocks) == thirdOf(messages(blocks)) + 5'000);
  CHECK(tokens(result) == thirdOf(messages(result)) + 10'000);
  const auto fetched = [](const std::string &source) {
    return R"({"type":"web_fetch_tool_result","content":{"type":"web_fetch_result","content":{"type":"document","source":)" +
           source + "}}}";
  };
  CHECK(tokens(fetched(R"({"type":"base64","media_type":"application/pdf","data":"A"})")) > 1'000'000);
  CHECK(tokens(fetched(R"({"type":"text","data":"hello"})")) < 100);
  CHECK(tokens(R"({"type":"tool_use","input":{"content":[{"type":"document"},)" + linked + "]}}") < 100);
  CHECK(parsed(tools(R"({"name":"f"},{"type":"bash_20250124"})")).promptTokens ==
        thirdOf(tools(R"({"name":"f"},{"type":"bash_20250124"})")) + 2'000);
}

TEST_CASE("request: corpus and mutants of it") {
  matrixos::fuzz::replay(MATRIXOS_AI_GATEWAY_CORPUS "/request", matrixos::gateway::fuzz::request, 6);
}

TEST_CASE("prices: corpus and mutants of it") {
  matrixos::fuzz::replay(MATRIXOS_AI_GATEWAY_CORPUS "/prices", matrixos::gateway::fuzz::prices, 2);
}
