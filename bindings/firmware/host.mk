##@ Firmware

.PHONY: firmware
firmware: ## The vectors and the figures on a Cortex-M4F and an RV32, emulated
	bindings/firmware/run.py

.PHONY: firmware-controls
firmware-controls: ## Plant faults; each must turn the firmware red
	bindings/firmware/run.py --controls
