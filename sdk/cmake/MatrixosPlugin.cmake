# matrixos_add_plugin(ID SOURCES… [LIBS…] [MIGRATIONS dir] [OUTPUT dir])
#
# Builds ID.so the way the ABI asks for: a module with hidden visibility that exports the entry function alone,
# without GNU-unique symbols (they would share inline statics between plugins even under RTLD_LOCAL), and that links
# nothing of the daemon. The same function serves the plugins of this tree and those of third parties.
function(matrixos_add_plugin id)
  cmake_parse_arguments(arg "" "OUTPUT" "SOURCES;LIBS" ${ARGN})
  if(NOT arg_OUTPUT)
    set(arg_OUTPUT ${CMAKE_BINARY_DIR}/plugins)
  endif()
  add_library(${id} MODULE ${arg_SOURCES})
  set_target_properties(${id} PROPERTIES
    PREFIX "" OUTPUT_NAME ${id} SUFFIX ".so" LIBRARY_OUTPUT_DIRECTORY ${arg_OUTPUT}
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_include_directories(${id} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_compile_options(${id} PRIVATE $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-fno-gnu-unique>)
  target_link_libraries(${id} PRIVATE matrixos::sdk ${arg_LIBS})
  # Templates of libraries (Poco, the standard library) come as weak symbols with default visibility: without the
  # version script they would be exported and bound across plugins.
  set(exports ${CMAKE_CURRENT_BINARY_DIR}/${id}.exports)
  file(CONFIGURE OUTPUT ${exports} CONTENT "{ global: mos_plugin_entry_v1; local: *; };\n" @ONLY)
  target_link_options(${id} PRIVATE -Wl,--exclude-libs,ALL -Wl,-z,now -Wl,--version-script=${exports})
  set_property(TARGET ${id} APPEND PROPERTY LINK_DEPENDS ${exports})
endfunction()
