# weft_bpf(name SRC fast_path.bpf.c [DEPENDS headers…]): compiles a BPF object with Clang and embeds
# it as a libbpf skeleton. weft::bpf_<name> offers the header "<name>.skel.h".
find_program(WEFT_BPF_CLANG NAMES clang clang-14 clang-16 clang-18 clang-19 REQUIRED)
find_program(WEFT_BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)
find_program(WEFT_LLVM_STRIP NAMES llvm-strip llvm-strip-14 llvm-strip-16 llvm-strip-18 llvm-strip-19 REQUIRED)

function(weft_bpf name)
  cmake_parse_arguments(ARG "" "SRC" "DEPENDS" ${ARGN})
  set(out ${PROJECT_BINARY_DIR}/generated/bpf)
  file(MAKE_DIRECTORY ${out})
  set(object ${out}/${name}.bpf.o)
  # BPF has no libc of its own; asm/types.h lives in the multiarch directory of the host.
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${WEFT_BPF_CLANG} -g -O2 -Wall -Wextra -Werror -target bpf -mcpu=v3
            -I${PROJECT_SOURCE_DIR} -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
            -c ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SRC} -o ${object}
    COMMAND ${WEFT_LLVM_STRIP} -g ${object}
    DEPENDS ${ARG_SRC} ${ARG_DEPENDS}
    VERBATIM)
  add_custom_command(
    OUTPUT ${out}/${name}.skel.h
    COMMAND ${WEFT_BPFTOOL} gen skeleton ${object} name ${name} > ${out}/${name}.skel.h
    DEPENDS ${object}
    VERBATIM)
  add_custom_target(weft_bpf_${name}_skeleton DEPENDS ${out}/${name}.skel.h)
  add_library(weft_bpf_${name} INTERFACE)
  add_library(weft::bpf_${name} ALIAS weft_bpf_${name})
  add_dependencies(weft_bpf_${name} weft_bpf_${name}_skeleton)
  target_include_directories(weft_bpf_${name} SYSTEM INTERFACE ${out})
  target_link_libraries(weft_bpf_${name} INTERFACE PkgConfig::libbpf)
endfunction()
