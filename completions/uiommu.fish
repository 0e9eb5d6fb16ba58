# SPDX-License-Identifier: MIT
# fish completion for uiommu(1); made by tools/completions.py
# Whether the command is $argv[1], and its arguments are not yet those of another program.
function __uiommu_command
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test "$words[2]" = "$argv[1]"; and not contains -- -- $words
end

function __uiommu_no_command
    test (count (commandline -opc)) -eq 1
end

# The words after --: another program and its arguments.
function __uiommu_program
    set -l words (commandline -opc) (commandline -ct)
    set -l at (contains -i -- -- $words); or return
    test $at -lt (count $words); or return
    complete -C (string join -- ' ' (string escape -- $words[(math $at + 1)..-2]) "$words[-1]")
end

complete -c uiommu -f
complete -c uiommu -n 'contains -- -- (commandline -opc)' -a '(__uiommu_program)'

complete -c uiommu -n __uiommu_no_command -l help -d 'show this help'
complete -c uiommu -n __uiommu_no_command -l version -d 'show the version'
complete -c uiommu -n __uiommu_no_command -a run -d 'run a program that finds /dev/iommu'
complete -c uiommu -n __uiommu_no_command -a top -d 'show a running '\''uiommu run'\'' live'
complete -c uiommu -n __uiommu_no_command -a size -d 'tell how many I/O page tables a set of mappings or a guest needs'
complete -c uiommu -n __uiommu_no_command -a replay -d 'replay a kernel trace of iommu or dma events'
complete -c uiommu -n __uiommu_no_command -a image -d 'write I/O page tables as a memory image'
complete -c uiommu -n __uiommu_no_command -a walk -d 'read I/O page tables in an image or a dump as hardware does'
complete -c uiommu -n __uiommu_no_command -a help -d 'show this help, or that of a COMMAND: uiommu help [COMMAND]'

complete -c uiommu -n '__uiommu_command run' -l address-width -d 'Bits of input address' -x -a '39 48 57 64'
complete -c uiommu -n '__uiommu_command run' -l device -d 'Give it a PCI device, bound to vfio-pci' -x
complete -c uiommu -n '__uiommu_command run' -l devices -d 'Give it /dev/vfio/devices/vfio0 to vfioN-1' -x
complete -c uiommu -n '__uiommu_command run' -l dma-fault -d 'When a device'\''s access is refused, tell it' -x -a 'log abort stop'
complete -c uiommu -n '__uiommu_command run' -l fail-nth -d 'Let the Nth allocation after the first open of /dev/iommu fail' -x
complete -c uiommu -n '__uiommu_command run' -l granule -d 'Arm' -x -a '4K 16K 64K'
complete -c uiommu -n '__uiommu_command run' -l iommu -d 'Table format of its domains' -x -a 'vtd x86_64 amdv1 arm64-s1 arm64-s2 riscv64 s390'
complete -c uiommu -n '__uiommu_command run' -l json -d 'Make the report JSON'
complete -c uiommu -n '__uiommu_command run' -l memlock -d 'Limit of what it may pin' -x -a 'unlimited'
complete -c uiommu -n '__uiommu_command run' -l memory-high -d 'memory.high of its memory cgroup' -x
complete -c uiommu -n '__uiommu_command run' -l memory-max -d 'Limit of its memory cgroup' -x -a 'auto'
complete -c uiommu -n '__uiommu_command run' -l name -d 'What '\''uiommu top --name'\'' finds it by' -x
complete -c uiommu -n '__uiommu_command run' -l no-wait -d 'End with the program'
complete -c uiommu -n '__uiommu_command run' -l phys -d 'Physical addresses of its memory' -x -a 'auto identity scattered'
complete -c uiommu -n '__uiommu_command run' -l report -d 'Where the report goes' -r -F -a 'none'
complete -c uiommu -n '__uiommu_command run' -l test-abi -d 'Answer the test ioctls and fail-nth files of a test kernel too'
complete -c uiommu -n '__uiommu_command run' -l trace -d 'Write what '\''uiommu replay'\'' reads' -r -F
complete -c uiommu -n '__uiommu_command run' -l help -d 'Show this help'
complete -c uiommu -n '__uiommu_command run' -l usage -d 'Show a short usage message'
complete -c uiommu -n '__uiommu_command run' -a -- -d 'the program follows'

complete -c uiommu -n '__uiommu_command top' -l count -d 'With --json' -x
complete -c uiommu -n '__uiommu_command top' -l interval -d 'Look this often, 0.1 to 3600' -x
complete -c uiommu -n '__uiommu_command top' -l json -d 'Print it as JSON'
complete -c uiommu -n '__uiommu_command top' -l name -d 'Only a run with this --name' -x
complete -c uiommu -n '__uiommu_command top' -l once -d 'Print what is now as text, and end'
complete -c uiommu -n '__uiommu_command top' -l help -d 'Show this help'
complete -c uiommu -n '__uiommu_command top' -l usage -d 'Show a short usage message'
complete -c uiommu -n '__uiommu_command top' -a '(pgrep -f "uiommu run" 2>/dev/null)'

complete -c uiommu -n '__uiommu_command size' -l address-width -d 'Bits of input address' -x -a '39 48 57 64'
complete -c uiommu -n '__uiommu_command size' -l domains -d 'Make the mappings in each of N domains' -x
complete -c uiommu -n '__uiommu_command size' -l granule -d 'Arm: size of the smallest page: 4K, 16K or 64K' -x -a '4K 16K 64K'
complete -c uiommu -n '__uiommu_command size' -l iommu -d 'The layout of the tables' -x -a 'vtd x86_64 amdv1 arm64-s1 arm64-s2 riscv64 s390 all'
complete -c uiommu -n '__uiommu_command size' -l backing -d 'Pieces behind what of it has no huge pages' -x
complete -c uiommu -n '__uiommu_command size' -l devices -d 'Devices passed to it' -x
complete -c uiommu -n '__uiommu_command size' -l guest -d 'The memory of a guest' -x
complete -c uiommu -n '__uiommu_command size' -l libvirt -d 'A guest, by its libvirt domain' -r -F
complete -c uiommu -n '__uiommu_command size' -l map -d 'A mapping' -x -a 'iova='
complete -c uiommu -n '__uiommu_command size' -l qemu -d 'A guest, by its QEMU command line' -x
complete -c uiommu -n '__uiommu_command size' -l json -d 'Print JSON'
complete -c uiommu -n '__uiommu_command size' -l help -d 'Show this help'
complete -c uiommu -n '__uiommu_command size' -l usage -d 'Show a short usage message'

complete -c uiommu -n '__uiommu_command replay' -l address-width -d 'Bits of input address' -x -a '39 48 57 64'
complete -c uiommu -n '__uiommu_command replay' -l check -d 'Exit status 3 when that budget breaks'
complete -c uiommu -n '__uiommu_command replay' -l csv -d 'Write a timeline' -r -F
complete -c uiommu -n '__uiommu_command replay' -l csv-all -d 'One row per event, however many'
complete -c uiommu -n '__uiommu_command replay' -l granule -d 'Arm: size of the smallest page: 4K, 16K or 64K' -x -a '4K 16K 64K'
complete -c uiommu -n '__uiommu_command replay' -l iommu -d 'Table format to replay on' -x -a 'vtd x86_64 amdv1 arm64-s1 arm64-s2 riscv64 s390 all'
complete -c uiommu -n '__uiommu_command replay' -l json -d 'Print the report as JSON'
complete -c uiommu -n '__uiommu_command replay' -l memory-max -d 'Budget of the memory cgroup: tell where it breaks, and go on' -x
complete -c uiommu -n '__uiommu_command replay' -l plot -d 'Draw the timeline by gnuplot' -r -F
complete -c uiommu -n '__uiommu_command replay' -l help -d 'Show this help'
complete -c uiommu -n '__uiommu_command replay' -l usage -d 'Show a short usage message'
complete -c uiommu -n '__uiommu_command replay' -F

complete -c uiommu -n '__uiommu_command image' -l address-width -d 'Bits of input address' -x -a '39 48 57 64'
complete -c uiommu -n '__uiommu_command image' -l granule -d 'Arm: size of the smallest page: 4K, 16K or 64K' -x -a '4K 16K 64K'
complete -c uiommu -n '__uiommu_command image' -l iommu -d 'The layout of the tables, as uiommu(7) lists them' -x -a 'vtd x86_64 amdv1 arm64-s1 arm64-s2 riscv64 s390'
complete -c uiommu -n '__uiommu_command image' -l map -d 'A mapping' -x -a 'iova='
complete -c uiommu -n '__uiommu_command image' -l base -d 'Physical address that the image is to be at' -x
complete -c uiommu -n '__uiommu_command image' -l out -d 'The image' -r -F
complete -c uiommu -n '__uiommu_command image' -l json -d 'Print JSON'
complete -c uiommu -n '__uiommu_command image' -l help -d 'Show this help'
complete -c uiommu -n '__uiommu_command image' -l usage -d 'Show a short usage message'

complete -c uiommu -n '__uiommu_command walk' -l address-width -d 'Bits of input address' -x -a '39 48 57 64'
complete -c uiommu -n '__uiommu_command walk' -l granule -d 'Arm: size of the smallest page: 4K, 16K or 64K' -x -a '4K 16K 64K'
complete -c uiommu -n '__uiommu_command walk' -l iommu -d 'The layout of the tables, as uiommu(7) lists them' -x -a 'vtd x86_64 amdv1 arm64-s1 arm64-s2 riscv64 s390'
complete -c uiommu -n '__uiommu_command walk' -l levels -d 'Levels of tables, which is the mode of amdv1' -x
complete -c uiommu -n '__uiommu_command walk' -l base -d 'Physical address of the file'\''s first byte' -x
complete -c uiommu -n '__uiommu_command walk' -l image -d 'The memory that the tables are in' -r -F
complete -c uiommu -n '__uiommu_command walk' -l root -d 'Physical address of the top table' -x
complete -c uiommu -n '__uiommu_command walk' -l budget -d 'Most items to look at' -x
complete -c uiommu -n '__uiommu_command walk' -l iova -d 'Translate this address and spell out the items on the way' -x
complete -c uiommu -n '__uiommu_command walk' -l limit -d 'Most ranges to list, up to 1000000' -x
complete -c uiommu -n '__uiommu_command walk' -l json -d 'Print JSON'
complete -c uiommu -n '__uiommu_command walk' -l plot -d 'Draw the address space by gnuplot' -r -F
complete -c uiommu -n '__uiommu_command walk' -l help -d 'Show this help'
complete -c uiommu -n '__uiommu_command walk' -l usage -d 'Show a short usage message'

complete -c uiommu -n '__uiommu_command help' -a 'run top size replay image walk help'
