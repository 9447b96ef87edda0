# weft_proto(name FILES a.proto b.proto): generates C++ (lite runtime) from proto/*.proto into the
# build tree and makes weft::proto_<name> of it. Generated headers are included as "proto/a.pb.h",
# only from .cc files.
function(weft_proto name)
  cmake_parse_arguments(ARG "" "" "FILES" ${ARGN})
  set(generated)
  set(out ${PROJECT_BINARY_DIR}/generated)
  file(MAKE_DIRECTORY ${out}/proto)
  foreach(file IN LISTS ARG_FILES)
    get_filename_component(stem ${file} NAME_WE)
    add_custom_command(
      OUTPUT ${out}/proto/${stem}.pb.cc ${out}/proto/${stem}.pb.h
      COMMAND protobuf::protoc --proto_path=${PROJECT_SOURCE_DIR} --cpp_out=${out} proto/${file}
      DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${file}
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
      VERBATIM)
    list(APPEND generated ${out}/proto/${stem}.pb.cc)
  endforeach()
  add_library(weft_proto_${name} STATIC ${generated})
  add_library(weft::proto_${name} ALIAS weft_proto_${name})
  target_compile_features(weft_proto_${name} PUBLIC cxx_std_20)
  target_include_directories(weft_proto_${name} SYSTEM PUBLIC ${out})
  target_link_libraries(weft_proto_${name} PUBLIC protobuf::libprotobuf-lite)
endfunction()
